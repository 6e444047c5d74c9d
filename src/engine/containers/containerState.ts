import { existsSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { isAlive, processStart } from "../../linux/processStart.ts";
import {
  endProcesses,
  isUnstarted,
  killVerified,
  removeRuntimeState,
  runtimePids,
} from "../../runtime/runtimeState.ts";
import type { ContainerRecord } from "../../store/Store.ts";
import { memoryRanOut, removeContainerCgroups } from "./containerCgroup.ts";
import { type ContainerFiles, containerFiles, monitorsDirectory } from "./containerFiles.ts";
import { recordContainerEvent } from "../events/eventLog.ts";
import { releaseNetworkOf } from "../networks/networkRelease.ts";
import type { Engine } from "../Engine.ts";

/** What the start of a container holds, so that nobody takes its half-started state for a dead one's. */
export function startLock(id: string): string {
  return `start ${id}`;
}

/** Held by whoever is about to start a container that he made, and by whoever is attached to one of `--rm` and takes it away at its end. */
export function attachLock(id: string): string {
  return `attach ${id}`;
}

/** All of them, made true. Those that do not run cost one look for all. */
export function refreshContainers(engine: Engine, records: readonly ContainerRecord[]): ContainerRecord[] {
  const [first] = records;
  if (first === undefined) return [];
  const monitored = new Set(filesIn(monitorsDirectory(engine.store.containers.directory(first.id))));
  return records.map((record) => refreshContainer(engine, record, (id) => monitored.has(id)));
}

/**
 * The container's record, made true first: whatever process was killed in whatever order, the status is what the kernel says, the exit code what
 * conmon wrote, and what a killed start left behind is gone. Cheap: some stats, no process.
 */
export function refreshContainer(
  engine: Engine,
  record: ContainerRecord,
  /** Whether there may be something of a start: the file of its monitor is there. */
  isMonitored: (id: string) => boolean = (id) => existsSync(filesOf(engine, id).conmonPid),
): ContainerRecord {
  if (record.status === "restarting") {
    if (isAlive(record.restarter?.pid, record.restarter?.start)) return record;
    return refreshContainer(engine, engine.store.containers.update(record.id, { status: "exited" }));
  }
  if (isUp(record)) {
    if (!isAlive(record.pid, record.pidStart)) return recordExit(engine, record);
    if (!isUnstarted(record.id)) return record;
  } else if (record.status !== "created" && record.status !== "exited") return record;
  else if (!isMonitored(record.id)) return record;

  // A start was under way: by somebody who is still at it, or who was killed before it was recorded.
  const unlock = engine.store.tryLock(startLock(record.id));
  if (unlock === undefined) return engine.store.containers.get(record.id) ?? record;
  try {
    const current = engine.store.containers.get(record.id) ?? record;
    if (current.status === "running" && !isUnstarted(current.id)) return current;
    const status = current.started === undefined || isUp(current) ? "created" : current.status;
    clearContainer(record.id, engine.store.containers.directory(record.id));
    releaseNetworkOf(engine, current);
    return engine.store.containers.update(record.id, { status, pid: 0, pidStart: 0, conmonPid: 0, network: undefined });
  } finally {
    unlock();
  }
}

function filesOf(engine: Engine, id: string): ContainerFiles {
  return containerFiles(engine.store.containers.directory(id), id);
}

function filesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return []; // nothing was ever started
  }
}

/** Its process lives, at work or stopped. */
export function isUp(record: ContainerRecord): boolean {
  return record.status === "running" || record.status === "paused";
}

/** Takes the exit into the record; the first one who does so writes down that it has ended. */
export function recordExit(engine: Engine, record: ContainerRecord): ContainerRecord {
  const { store } = engine;
  const files = containerFiles(store.containers.directory(record.id), record.id);
  const exit = awaitExitFile(files.exit, record.conmonPid);
  const changes: Partial<ContainerRecord> = exit ?? {
    finished: Date.now(),
    exitCode: 137,
    error: "its monitor was killed: the exit code is not known",
  };
  if (memoryRanOut(files.directory)) changes.oomKilled = true;
  removeRuntimeState(record.id);
  removeContainerCgroups(files.directory);
  endWatchers(record);
  rmSync(files.conmonPid, { force: true });
  releaseNetworkOf(engine, record);
  let isFirst = false;
  const ended = store.transaction(() => {
    const current = store.containers.get(record.id);
    // Started anew by now, or gone.
    if (current === undefined) return { ...record, ...changes, status: "exited" as const };
    if (!isUp(current) || current.pid !== record.pid || current.pidStart !== record.pidStart) return current;
    isFirst = true;
    return store.containers.update(record.id, {
      ...changes,
      status: "exited",
      pid: 0,
      pidStart: 0,
      conmonPid: 0,
      watchers: [],
      network: undefined,
    });
  });
  if (isFirst && ended.oomKilled === true)
    recordContainerEvent(engine, ended, "oom", { at: ended.finished ?? Date.now() });
  if (isFirst) recordDeath(engine, ended);
  return ended;
}

/** For `events`. */
export function recordDeath(engine: Engine, record: ContainerRecord): void {
  const seconds = Math.max(0, Math.round(((record.finished ?? 0) - (record.started ?? 0)) / 1000));
  recordContainerEvent(engine, record, "die", {
    attributes: { execDuration: String(seconds), exitCode: String(record.exitCode ?? 0) },
    at: record.finished ?? Date.now(),
  });
}

/** Whoever waits to start it again does so no more. */
export function endRestart(record: ContainerRecord): void {
  if (record.status === "restarting") killVerified(record.restarter?.pid, record.restarter?.start);
}

/** Ends the processes of ours that look after it. */
export function endWatchers(record: ContainerRecord): void {
  for (const { pid, start } of record.watchers ?? []) {
    if (!isAlive(pid, start)) continue;
    try {
      process.kill(-pid, "SIGKILL");
    } catch {
      // just ended
    }
  }
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
  removeContainerCgroups(directory);
  if (existsSync(containerFiles(directory, id).conmonPid) || runtimePids(id).length > 0) endProcesses(id);
  removeRuntimeState(id);
}
