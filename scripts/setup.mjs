// Brings what is missing, and nothing else: node_modules by npm, system packages by apt.
// `setup.mjs [run] [base] [registry] [test]`: what for (default: run).
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { nodeModulesAreFresh } from "./lib/nodeModules.mjs";
import { missingPackages } from "./lib/packages.mjs";
import { bunPath, root } from "./lib/paths.mjs";
import { run } from "./lib/run.mjs";

/**
 * Resolves when everything that `groups` name is there; quick when it was already. Throws with the one command to run where only the
 * system's administrator can go on.
 */
export async function setup(groups = ["run"]) {
  if (process.platform !== "linux") throw new Error("slipway runs on Linux");
  await setupPackages(groups);
  if (!nodeModulesAreFresh()) {
    say("installing node_modules (npm ci)");
    const exit = await run("npm", ["ci", "--no-audit", "--no-fund"], { cwd: root });
    if (exit !== 0) throw new Error(`npm ci failed with exit code ${exit}`);
  }
  bunPath();
}

async function setupPackages(groups) {
  const missing = missingPackages(groups);
  if (missing.length === 0) return;
  const firstChoices = missing.map(([name]) => name);
  if (!existsSync("/usr/bin/apt-get"))
    throw new Error(`please install ${firstChoices.join(" ")} with your package manager`);
  if (process.getuid() !== 0)
    throw new Error(
      `please run this first, then try again:\n  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${firstChoices.join(" ")}`,
    );

  const environment = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  say("apt-get update");
  if ((await run("apt-get", ["update", "-qq"], { quiet: true, env: environment })) !== 0)
    throw new Error("apt-get update failed");
  const names = missing.map((alternatives) => alternatives.find(isKnown) ?? alternatives[0]);
  say(`installing ${names.join(" ")}`);
  const exit = await run("apt-get", ["install", "-qq", "-y", "--no-install-recommends", ...names], {
    quiet: true,
    // Asks the package scripts not to start a service (docker-registry has one that nothing here uses).
    env: { ...environment, RUNLEVEL: "1" },
  });
  if (exit !== 0) throw new Error(`apt-get install failed with exit code ${exit}`);
  const still = missingPackages(groups);
  if (still.length > 0) throw new Error(`still missing after apt-get: ${still.map(([name]) => name).join(" ")}`);
}

/** Whether apt has a version to install: Ubuntu before 24.04 and Debian before 11 have no crun. */
function isKnown(name) {
  const { stdout } = spawnSync("apt-cache", ["policy", name], { encoding: "utf8" });
  return /Candidate: (?!\(none\))/.test(stdout ?? "");
}

function say(text) {
  process.stderr.write(`setup: ${text}\n`);
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  setup(process.argv.length > 2 ? process.argv.slice(2) : ["run"]).catch((error) => {
    process.stderr.write(`setup: ${error.message}\n`);
    process.exitCode = 1;
  });
}
