import { existsSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { basename } from "node:path";
import { findProgram } from "./findProgram.ts";
import { isAlive, processStart } from "../linux/processStart.ts";
import { SEALED_NAME } from "./sealedProgram.ts";
import { runDirectory } from "./runtimeCommand.ts";

/**
 * Kills conmon, the runtime at its work and the container's first process, until none is left: a start that was cut off may be at any point, with
 * processes that no file names yet. `id` is the name that the runtime knows it by, unlike any other text.
 */
export function endProcesses(id: string): void {
  for (let tries = 0; tries < 1000; tries++) {
    let killed = 0;
    for (const { pid, start } of [...processesAbout(id), ...runtimePids(id)]) if (killVerified(pid, start)) killed++;
    if (killed === 0) return;
    Bun.sleepSync(1);
  }
}

/** conmon and runtime processes of this container, the forked one that is to become its first process included. */
function processesAbout(id: string): { pid: number; start: number }[] {
  const found: { pid: number; start: number }[] = [];
  for (const name of readdirSync("/proc")) {
    if (!/^[0-9]+$/.test(name)) continue;
    const pid = Number(name);
    const start = processStart(pid);
    const line = commandLine(pid);
    if (start === undefined || !line.includes(id)) continue;
    const program = basename(line.split("\0", 1)[0] as string);
    if (["conmon", "crun", "runc"].includes(program) || isSealedProgram(pid)) found.push({ pid, start });
  }
  return found;
}

function isSealedProgram(pid: number): boolean {
  try {
    return readlinkSync(`/proc/${pid}/exe`).startsWith(`/memfd:${SEALED_NAME}`);
  } catch {
    return false; // ended just now
  }
}

/** The first process by the runtime's own record, crun's form and runc's. */
export function runtimePids(id: string): { pid: number; start: number }[] {
  const found: { pid: number; start: number }[] = [];
  for (const [runtime, file, pid, start] of [
    ["crun", "status", "pid", "process-start-time"],
    ["runc", "state.json", "init_process_pid", "init_process_start"],
  ] as const) {
    try {
      const state = JSON.parse(readFileSync(`${runDirectory()}/${runtime}/${id}/${file}`, "utf8")) as Record<
        string,
        number
      >;
      found.push({ pid: state[pid] as number, start: state[start] as number });
    } catch {
      // not this runtime's, or not that far
    }
  }
  return found;
}

/** Makes the runtimes forget a container that has ended. Where no cgroup was made, its record is all there is of it. */
export function removeRuntimeState(id: string): void {
  for (const runtime of ["crun", "runc"]) {
    const state = `${runDirectory()}/${runtime}/${id}`;
    if (!existsSync(state)) continue;
    if (runtime !== "crun" || !hasNoCgroup(state)) {
      const path = findProgram(runtime);
      if (path !== undefined) {
        Bun.spawnSync([path, "--root", `${runDirectory()}/${runtime}`, "delete", "--force", id], {
          stdio: ["ignore", "ignore", "ignore"],
        });
      }
    }
    rmSync(state, { recursive: true, force: true });
  }
}

function hasNoCgroup(state: string): boolean {
  try {
    return (JSON.parse(readFileSync(`${state}/status`, "utf8")) as { "cgroup-path"?: string })["cgroup-path"] === "";
  } catch {
    return true; // not that far
  }
}

/** True while the runtime has made the container and nobody has let it go. */
export function isUnstarted(id: string): boolean {
  return existsSync(`${runDirectory()}/crun/${id}/exec.fifo`) || existsSync(`${runDirectory()}/runc/${id}/exec.fifo`);
}

/** Sends a signal to the very process that had this pid and start; false where it is gone. */
export function killVerified(pid: number | undefined, start: number | undefined, signal: number = 9): boolean {
  if (!isAlive(pid, start)) return false;
  try {
    process.kill(pid as number, signal);
    return true;
  } catch {
    return false; // ended by itself just now
  }
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1");
  } catch {
    return "";
  }
}
