import { readdirSync, rmSync } from "node:fs";
import { ownerLives } from "./ownedName.ts";
import { runDirectory } from "./runtimeCommand.ts";
import { endProcesses, removeRuntimeState } from "./runtimeState.ts";

/** Ends the steps and probes of slipway processes that were killed, and removes what is left of them. A few directory reads where there is nothing. */
export function sweepOwned(): void {
  for (const runtime of ["crun", "runc"]) {
    for (const name of namesIn(`${runDirectory()}/${runtime}`)) {
      if (ownerLives(name) !== false) continue;
      endProcesses(name);
      removeRuntimeState(name);
    }
  }
  for (const name of namesIn(runDirectory())) {
    if (ownerLives(name) === false) rmSync(`${runDirectory()}/${name}`, { recursive: true, force: true });
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return []; // never used
  }
}
