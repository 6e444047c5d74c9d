// `npm run bench -- [--only NAME] [--runs N]`: slipway beside its peers, whole processes, medians; prints a markdown table.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { busyboxImage } from "../scripts/lib/busyboxImage.mjs";
import { startRegistry } from "../scripts/lib/loopbackRegistry.mjs";
import { pushImage } from "../scripts/lib/pushImage.mjs";
import type { Bench } from "./Bench.ts";
import { bigLayers } from "./bigImage.ts";
import { type Measured, measure } from "./measure.ts";
import { findPeers } from "./peers.ts";
import { scenarios } from "./scenarios/scenarios.ts";
import { table } from "./table.ts";

const { values } = parseArgs({
  options: { only: { type: "string", multiple: true }, runs: { type: "string", default: "7" } },
});
const runs = Number(values.runs);
if (!Number.isInteger(runs) || runs < 1) throw new Error("--runs takes a number");
const chosen = scenarios.filter(({ name }) => values.only === undefined || values.only.includes(name));
if (chosen.length === 0) throw new Error(`no such scenario; there are ${scenarios.map(({ name }) => name).join(", ")}`);

const peers = findPeers();
if (peers !== undefined) mkdirSync(peers.folder, { recursive: true });
else say("the peers are not up: slipway is measured alone");
const base = mkdtempSync(join(peers?.folder ?? tmpdir(), "slipway-bench-"));
const registry = await startRegistry(join(base, "registry"));
const target = await startRegistry(join(base, "target"));
const emptyRegistry = {
  host: target.host,
  empty: () => rmSync(join(base, "target/data"), { recursive: true, force: true }),
};
try {
  await pushImage(registry.url, "library/busybox", "latest", busyboxImage());
  if (chosen.some(({ big }) => big)) {
    say("making the image for pull and push");
    await pushImage(registry.url, "big", "latest", { layers: bigLayers() });
  }
  const config = join(base, "config.json");
  writeFileSync(config, JSON.stringify({ registries: { "docker.io": { mirrors: [registry.url] } } }));
  const slipway = {
    command: [process.env.SLIPWAY_BIN ?? resolve(import.meta.dir, "../dist/slipway")],
    env: { SLIPWAY_ROOT: join(base, "store"), SLIPWAY_CONFIG: config },
  };

  const rows: { scenario: string; measured: Measured[] }[] = [];
  for (const { name, title, contenders, runs: most = runs, end } of chosen) {
    say(name);
    const folder = join(base, name);
    mkdirSync(folder);
    const bench: Bench = { slipway, peers, folder, registry: registry.host, emptyRegistry, must, may };
    const measured = measure(contenders(bench), {
      runs: Math.min(runs, most),
      onSkip: (tool, reason) => say(`  ${tool} left out: ${reason}`),
    });
    end?.(bench);
    rows.push({ scenario: title, measured });
    for (const { name: tool, seconds, peak } of measured)
      say(`  ${tool}: ${seconds.map((value) => value.toFixed(3)).join(" ")} s, ${Math.round(peak / 1e6)} MB`);
  }
  process.stdout.write(
    `${table(rows)}\n\nMedians of ${runs} runs in seconds; in brackets slipway's share of that time.\n`,
  );
  if (peers !== undefined) {
    const tags = ["hello", "steps", "app", "files", "gigabyte"].map((each) => `bench-${each}`);
    tags.push(`${registry.host}/big:latest`, `${target.host}/big:latest`);
    for (const tool of [peers.docker, peers.buildah, peers.podman])
      for (const tag of tags) may([...tool, "rmi", "-f", tag]);
  }
} finally {
  await registry.stop();
  await target.stop();
  rmSync(base, { recursive: true, force: true });
}

function must(command: string[], env: Record<string, string> = {}): void {
  const { exitCode, stderr } = Bun.spawnSync(command, {
    env: { ...process.env, ...env },
    stdout: "ignore",
    stderr: "pipe",
  });
  if (exitCode !== 0) throw new Error(`${command.join(" ")}: ${stderr.toString().slice(-1000)}`);
}

function may(command: string[], env: Record<string, string> = {}): void {
  Bun.spawnSync(command, { env: { ...process.env, ...env }, stdout: "ignore", stderr: "ignore" });
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}
