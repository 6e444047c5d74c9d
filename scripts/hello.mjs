// `npm run hello`: from a fresh machine to the first container. Set-up, build, then the steps a person takes first, with examples/hello.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "./build.mjs";
import { busyboxImage } from "./lib/busyboxImage.mjs";
import { root, slipwayPath } from "./lib/paths.mjs";
import { pushImage } from "./lib/pushImage.mjs";
import { run } from "./lib/run.mjs";
import { serveStore } from "./lib/serveStore.mjs";
import { setup } from "./setup.mjs";

const probeMs = 3000;

try {
  await setup(["run"]);
  await build();
  const complaint = await hubComplaint();
  if (complaint === undefined) await story({});
  else await offline(complaint);
} catch (error) {
  process.stderr.write(`hello: ${error.message}\n`);
  process.exitCode = 1;
}

async function story(env) {
  const say = (args) => process.stdout.write(`\n$ slipway ${args.join(" ")}\n`);
  const options = { cwd: join(root, "examples", "hello"), env: { ...process.env, ...env } };
  const slipway = async (...args) => {
    say(args);
    const exit = await run(slipwayPath, args, options);
    if (exit !== 0) throw new Error(`slipway ${args.join(" ")} ended with exit code ${exit}`);
  };

  await slipway("build", ".");
  const { stdout } = spawnSync(slipwayPath, ["build", "-q", "."], { ...options, encoding: "utf8" });
  const id = stdout.trim().replace("sha256:", "").slice(0, 12);
  // A terminal can be asked for only where there is one.
  const terminal = process.stdin.isTTY && process.stdout.isTTY;
  await slipway("run", "--rm", ...(terminal ? ["-it"] : []), id);
  await slipway("build", "-t", "hello", ".");

  const args = ["run", "--rm", "hello"];
  say(args);
  const said = spawnSync(slipwayPath, args, { ...options, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  process.stdout.write(said.stdout);
  if (said.status !== 0 || said.stdout !== "hello\n") throw new Error("the container did not say hello");

  await slipway("images");
  await slipway("history", "hello");
}

/**
 * The same with `alpine` from a registry of our own. Its images go into a store of their own: a stand-in for alpine has no place where a
 * later build would take it for the real one.
 */
async function offline(complaint) {
  process.stdout.write(
    `Docker Hub cannot be reached (${complaint}): alpine is served by slipway registry serve, made of busybox-static.\n`,
  );
  await setup(["base"]);
  const folder = mkdtempSync(join(tmpdir(), "slipway-hello-"));
  const registry = await serveStore(join(folder, "served"));
  const stopAndEnd = () => registry.stop().then(() => process.exit(143));
  process.once("SIGTERM", stopAndEnd);
  try {
    await pushImage(registry.url, "library/alpine", "latest", busyboxImage());
    const config = join(folder, "config.json");
    writeFileSync(config, JSON.stringify({ registries: { "docker.io": { mirrors: [registry.url] } } }));
    const store = join(root, "dist", "hello-store");
    mkdirSync(store, { recursive: true });
    await story({ SLIPWAY_CONFIG: config, SLIPWAY_ROOT: store });
    process.stdout.write(
      "\nThe images are in dist/hello-store: SLIPWAY_ROOT=dist/hello-store dist/slipway run hello\n",
    );
  } finally {
    process.off("SIGTERM", stopAndEnd);
    await registry.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Why Docker Hub does not answer, undefined when it does: any HTTP answer will do. */
async function hubComplaint() {
  try {
    await fetch("https://registry-1.docker.io/v2/", { signal: AbortSignal.timeout(probeMs) });
    return undefined;
  } catch (error) {
    return error.name === "TimeoutError" ? `no answer in ${probeMs / 1000} s` : (error.cause?.code ?? error.message);
  }
}
