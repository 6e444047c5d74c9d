import { readdirSync, statSync } from "node:fs";
import { processStart } from "../../linux/processStart.ts";

const PATIENCE_MS = 10_000; // a killed process is gone in milliseconds, unless it waits for a disk

/**
 * Kills every process whose root is the directory `root`, whoever its parent is by now, and resolves when none is left: one that began meanwhile is
 * found in the next round. A step's processes cannot have another root, since they lack the capability for it.
 */
export async function endProcesses(root: string): Promise<void> {
  const { dev, ino } = statSync(root);
  for (const end = performance.now() + PATIENCE_MS; performance.now() < end; await Bun.sleep(1)) {
    const found = processesOf(dev, ino);
    if (found.length === 0) return;
    for (const pid of found) killQuietly(pid);
  }
  throw new Error(`processes in ${root} do not end`);
}

function processesOf(dev: number, ino: number): number[] {
  return readdirSync("/proc").flatMap((name) => {
    if (!/^[0-9]+$/.test(name)) return [];
    try {
      const root = statSync(`/proc/${name}/root`);
      return root.ino === ino && root.dev === dev && processStart(Number(name)) !== undefined ? [Number(name)] : [];
    } catch {
      return []; // it has ended, or is none of ours
    }
  });
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // ended by itself just now
  }
}
