import { expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { rungs } from "../support/rungs.ts";
import { until } from "../support/until.ts";
import { type Slipway, withSlipway } from "../support/withSlipway.ts";

/** What the ladder's own suite (ladder.test.ts) leaves out: every other thing that one does with images and containers, as a plain user. */
const caller = process.getuid?.() === 0 ? rungs.namespace.caller() : { missing: "only root may drop into others" };

function plain(name: string, work: (slipway: Slipway) => Promise<void>): void {
  if ("missing" in caller) test.skip(`${name} (skipped: ${caller.missing})`, () => {});
  else test(name, () => withSlipway(work, { caller }), 120_000);
}

plain("a plain user's containers are made, changed, moved and ended as root's are", async (slipway) => {
  const { text, directory } = slipway;
  const inspect = (format: string, name: string) => text("inspect", "-f", `{{${format}}}`, name);
  expect(await text("pull", "alpine")).toContain("docker.io/library/alpine:latest");
  await text(
    "create",
    "--name=first",
    "-v",
    "vol:/v",
    "alpine",
    "sh",
    "-c",
    "echo hi; touch /v/x; chown 33:33 /v/x; exit 3",
  );
  expect(await slipway.run(["start", "-a", "first"], { exit: 3 })).toMatchObject({ stdout: "hi\n" });
  expect(await text("wait", "first")).toBe("3");
  await text("rename", "first", "second");
  writeFileSync(join(directory, "in.txt"), "data");
  await text("cp", "in.txt", "second:/etc/in.txt");
  await text("cp", "second:/etc/in.txt", "out.txt");
  expect(readFileSync(join(directory, "out.txt"), "utf8")).toBe("data");
  await text("commit", "second", "img:1");
  await text("export", "-o", "exp.tar", "second");
  await text("import", "exp.tar", "imp:1");
  await text("save", "-o", "img.tar", "img:1");
  await text("rmi", "img:1");
  await text("load", "-i", "img.tar");
  const network = "--network=none";
  for (const image of ["img:1", "imp:1"])
    expect(await text("run", "--rm", network, image, "cat", "/etc/in.txt")).toBe("data");

  // What lives on by itself: policies, health, further processes.
  await text("run", "-d", "--name=again", network, "--restart=on-failure:2", "alpine", "false");
  await text(
    "run",
    "-d",
    "--name=up",
    network,
    "--health-cmd=true",
    "--health-interval=1s",
    "--restart=unless-stopped",
    "alpine",
    "sleep",
    "600",
  );
  expect(await text("top", "up")).toMatch(/^root .*sleep 600$/m);
  expect(await text("stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}}", "up")).toBe("up 1");
  expect((await slipway.run(["pause", "up"], { exit: 1 })).stderr).toContain("control groups");
  await until(async () => (await inspect(".State.Health.Status", "up")) === "healthy");
  await until(async () => (await text("inspect", "-f", "{{.RestartCount}} {{.State.Status}}", "again")) === "2 exited");
  process.kill(Number(await inspect(".State.Pid", "up")), "SIGKILL");
  await until(
    async () => (await inspect(".RestartCount", "up")) === "1" && (await inspect(".State.Status", "up")) === "running",
  );
  await text("stop", "-t", "0", "up");
  await text("update", "--restart=no", "up");
  await text("start", "up");
  await text("kill", "up");
  expect(await text("events", "--since=5m", "--until=0s", "--filter=container=up", "--format={{.Action}}")).toMatch(
    /kill[\s\S]*die/,
  );

  // Devices are the host's, where they are mounted.
  expect(
    await text(
      "run",
      "--rm",
      network,
      "--device=/dev/zero:/dev/other",
      "alpine",
      "sh",
      "-c",
      "head -c 3 /dev/other | wc -c",
    ),
  ).toBe("3");
  // A folder of the user's is root's inside; what others of the namespace make there is theirs.
  mkdirSync(join(directory, "mine"));
  expect(
    await slipway
      .run(["run", "--rm", network, "-v", `${directory}/mine:/m`, "alpine", "touch", "/m/x"], { exit: "any" })
      .then(({ exitCode }) => exitCode),
  ).toBe(1); // made by root: the user may not either
  await text("unshare", "sh", "-c", "mkdir own && chmod 755 own");
  await text("run", "--rm", network, "-v", `${directory}/own:/m`, "alpine", "touch", "/m/x");
  expect(statSync(join(directory, "own/x")).uid).toBe("missing" in caller ? -1 : caller.uid);
});

plain(
  "what a build makes and keeps belongs to the user who built, and all of it can be given back",
  async (slipway) => {
    const { text, directory, root } = slipway;
    const dockerfile = `FROM alpine
RUN --mount=type=cache,target=/c touch /c/x && chown 44:44 /c/x && chmod 700 /c
RUN mkdir -p /o/d && echo 1 >/o/d/f && chown -R 1000:1000 /o && chmod 700 /o/d && chmod 4755 /o/d/f
`;
    const build = (...args: string[]) => slipway.run(["build", ...args, "-"], { input: dockerfile });
    await build("-t", "kept");
    await text("unshare", "mkdir", "out");
    await build("-o", "out");
    const made = statSync(join(directory, "out/o/d"));
    expect([made.uid, made.mode & 0o7777]).toEqual(["missing" in caller ? -1 : caller.uid, 0o700]);
    await build("-o", "type=tar,dest=out.tar");
    await build("-o", "type=oci,dest=image.tar");
    expect(
      Bun.spawnSync(["tar", "--numeric-owner", "-tvf", join(directory, "out.tar"), "o/d/f"]).stdout.toString(),
    ).toMatch(/^-rws\S* 1000\/1000/);
    const local = `${slipway.hub.host}/plain/kept:1`;
    await build("-t", local, "--push");
    await text("rmi", local, "kept");
    expect(await text("run", "--rm", "--network=none", local, "stat", "-c", "%u:%g %a", "/o/d/f")).toBe(
      "1000:1000 4755",
    );

    // A container, a volume, a cache and layers with files of ids that are nobody's outside: each goes by its own command.
    await text(
      "run",
      "--name=left",
      "--network=none",
      "-v",
      "vol:/v",
      local,
      "sh",
      "-c",
      "mkdir -m 0 /v/a /a; touch /v/a/b /a/b; chown -R 9:9 /v /a",
    );
    await text("rm", "left");
    await text("volume", "rm", "vol");
    await text("rmi", local);
    await text("builder", "prune", "-af");
    await text("system", "prune", "-af", "--volumes");
    const kept = readdirSync(root, { recursive: true })
      .map(String)
      .filter((path) => /^(layers|containers|volumes|caches|tmp|blobs\/sha256)\/./.test(path));
    expect(kept.filter((path) => path !== "blobs/sha256")).toEqual([]);
    // And the store as a whole.
    await text("run", "--name=left", "--network=none", "alpine", "sh", "-c", "mkdir -m 0 /a; chown 9:9 /a");
    await text("unshare", "rm", "-rf", "--", join(root, "containers"));
    expect(readdirSync(root)).not.toContain("containers");
  },
);
