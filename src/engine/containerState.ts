import { existsSync, readFileSync, rmSync, statSync } from "node:fs";
import { findProgram } from "../runtime/findProgram.ts";
import { isAlive, processStart } from "../runtime/processStart.ts";
import { runDirectory } from "../runtime/runtimeCommand.ts";
import type { ContainerRecord } from "../store/Store.ts";
import { containerFiles } from "./containerFiles.ts";
import type { Engine } from "./Engine.ts";

/** What the start of a container holds, so that nobody takes its half-started state for a dead one's. */
export function startLock(id: string): string {
  return `start ${id}`;
}

/**
 * The container's record, made true first: whatever process was killed in whatever order, the status is what the kernel says, the exit code what
 * conmon wrote, and what a killed start left behind is gone. Cheap: some stats, no process.
 */
export function refreshContainer(engine: Engine, record: ContainerRecord): ContainerRecord {
  const files = containerFiles(engine.store.containers.directory(record.id), record.id);
  if (record.status === "running" || record.status === "paused") {
    if (!isAlive(record.pid, record.pidStart)) return recordExit(engine, record);
    if (!isUnstarted(record.id)) return record;
  } else if (record.status !== "created" && record.status !== "exited") return record;
  else if (!existsSync(files.conmonPid)) return record;

  // A start was under way: by somebody who is still at it, or who was killed before it was recorded.
  const unlock = engine.store.tryLock(startLock(record.id));
  if (unlock === undefined) return engine.store.containers.get(record.id) ?? record;
  try {
    const current = engine.store.containers.get(record.id) ?? record;
    if (current.status === "running" && !isUnstarted(current.id)) return current;
    const status =
      current.started === undefined ? "created" : current.status === "running" ? "created" : current.status;
    clearContainer(record.id, files.directory);
    return engine.store.containers.update(record.id, { status, pid: 0, pidStart: 0, conmonPid: 0 });
  } finally {
    unlock();
  }
}

/** Takes the exit into the record. */
export function recordExit(engine: Engine, record: ContainerRecord): ContainerRecord {
  const files = containerFiles(engine.store.containers.directory(record.id), record.id);
  const exit = awaitExitFile(files.exit, record.conmonPid);
  const changes: Partial<ContainerRecord> = exit ?? {
    finished: Date.now(),
    exitCode: 137,
    error: "its monitor was killed: the exit code is not known",
  };
  removeRuntimeState(record.id);
  rmSync(files.conmonPid, { force: true });
  return engine.store.containers.update(record.id, { ...changes, status: "exited", pid: 0, pidStart: 0, conmonPid: 0 });
}

/** The exit file appears when conmon has drained the output; while conmon lives, it will. */
function awaitExitFile(
  path: string,
  conmonPid: number | undefined,
): { finished: number; exitCode: number } | undefined {
  for (let waited = 0; ; waited++) {
    const found = readExitFile(path);
    if (found !== undefined) return found;
    if (waited > 500 || conmonPid === undefined || conmonPid === 0 || processStart(conmonPid) === undefined) {
      return readExitFile(path); // written between the two looks
    }
    Bun.sleepSync(1);
  }
}

export function readExitFile(path: string): { finished: number; exitCode: number } | undefined {
  try {
    const text = readFileSync(path, "utf8");
    if (text === "") return undefined; // being written
    return { exitCode: Number(text), finished: Math.round(statSync(path).mtimeMs) };
  } catch {
    return undefined; // not ended
  }
}

/** Ends every process of the container and forgets the runtime's state of it. Only for one that nobody is starting. */
export function clearContainer(id: string, directory: string): void {
  const files = containerFiles(directory, id);
  for (const pid of runtimePids(id)) killVerified(pid.pid, pid.start);
  const conmon = readNumber(files.conmonPid);
  if (conmon !== undefined && commandLine(conmon).includes(id)) killVerified(conmon, processStart(conmon));
  removeRuntimeState(id);
  for (const path of [files.conmonPid, files.pid, files.attach, files.control, `${directory}/winsz`, files.exit]) {
    rmSync(path, { force: true });
  }
}

/** The first process by the runtime's own record, crun's form and runc's. */
function runtimePids(id: string): { pid: number; start: number }[] {
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
function isUnstarted(id: string): boolean {
  return existsSync(`${runDirectory()}/crun/${id}/exec.fifo`) || existsSync(`${runDirectory()}/runc/${id}/exec.fifo`);
}

export function killVerified(pid: number | undefined, start: number | undefined, signal: number = 9): boolean {
  if (!isAlive(pid, start)) return false;
  try {
    process.kill(pid as number, signal);
    return true;
  } catch {
    return false; // ended by itself just now
  }
}

export function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1");
  } catch {
    return "";
  }
}

export function readNumber(path: string): number | undefined {
  try {
    const number = Number(readFileSync(path, "utf8").trim());
    return number > 0 ? number : undefined;
  } catch {
    return undefined;
  }
}
