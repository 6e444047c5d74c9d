import { existsSync, readFileSync, rmSync, statSync } from "node:fs";
import { isAlive, processStart } from "../linux/processStart.ts";
import { endProcesses, isUnstarted, removeRuntimeState, runtimePids } from "../runtime/runtimeState.ts";
import type { ContainerRecord } from "../store/Store.ts";
import { containerFiles } from "./containerFiles.ts";
import { releaseNetworkOf } from "./networkRelease.ts";
import type { Engine } from "./Engine.ts";

/** What the start of a container holds, so that nobody takes its half-started state for a dead one's. */
export function startLock(id: string): string {
  return `start ${id}`;
}

/** Held by whoever is attached to a container of `--rm` and takes it away at its end. */
export function attachLock(id: string): string {
  return `attach ${id}`;
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
    releaseNetworkOf(engine, current);
    return engine.store.containers.update(record.id, { status, pid: 0, pidStart: 0, conmonPid: 0, network: undefined });
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
  releaseNetworkOf(engine, record);
  const ended = { status: "exited", pid: 0, pidStart: 0, conmonPid: 0, network: undefined } as const;
  return engine.store.containers.update(record.id, { ...changes, ...ended });
}

/** The exit file appears when conmon has drained the output; while conmon lives, it will. */
export function awaitExitFile(
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

/** Ends every process of a container that nobody is starting, forgets the runtime's state of it, and removes what conmon has left. */
export function clearContainer(id: string, directory: string): void {
  const files = containerFiles(directory, id);
  endContainer(id, directory);
  for (const path of [files.conmonPid, files.pid, files.attach, files.control, `${directory}/winsz`, files.exit]) {
    rmSync(path, { force: true });
  }
}

/** The same, the files left alone. */
export function endContainer(id: string, directory: string): void {
  if (existsSync(containerFiles(directory, id).conmonPid) || runtimePids(id).length > 0) endProcesses(id);
  removeRuntimeState(id);
}
