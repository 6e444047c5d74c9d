import { existsSync, watch } from "node:fs";
import type { ContainerRecord } from "../store/Store.ts";
import { containerFiles } from "./containerFiles.ts";
import { readExitFile, recordExit, refreshContainer } from "./containerState.ts";
import type { Engine } from "./Engine.ts";
import { isAlive } from "../runtime/processStart.ts";

/**
 * Resolves with the exit code when the container has ended; at once where it is not running. `remove`: takes it away as well.
 * @throws SlipwayError `CONTAINER_NOT_FOUND`
 */
export async function waitContainer(
  engine: Engine,
  nameOrId: string,
  options: { remove?: boolean; signal?: AbortSignal | undefined } = { signal: engine.signal },
): Promise<number> {
  const { containers } = engine.store;
  let record = containers.find(nameOrId);
  if (record.status === "running") await untilEnded(engine, record, options);
  if (containers.get(record.id) === undefined) return 137; // somebody's `rm -f`
  record = record.status === "running" ? recordExit(engine, record) : refreshContainer(engine, record);
  const code = record.exitCode ?? 0;
  if (options.remove === true) {
    const { removeContainer } = await import("./removeContainer.ts");
    await removeContainer(engine, record.id, { force: true, volumes: true });
  }
  return code;
}

/** False when patience ended first. Hears of the exit file from the kernel; looks at the process now and then, for the case that conmon was killed. */
export async function untilEnded(
  engine: Engine,
  record: ContainerRecord,
  options: { patienceMs?: number; signal?: AbortSignal | undefined } = {},
): Promise<boolean> {
  const { patienceMs, signal } = options;
  const files = containerFiles(engine.store.containers.directory(record.id), record.id);
  const ended = (): boolean => readExitFile(files.exit) !== undefined || !isAlive(record.pid, record.pidStart);
  if (ended()) return true;
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const look = (): void => {
    if (ended()) resolve(true);
  };
  // Without the directory the container is being taken away, which the process shows.
  const watcher = existsSync(files.exitDirectory) ? watch(files.exitDirectory, look) : undefined;
  const heartbeat = setInterval(look, 50);
  const patience = patienceMs === undefined ? undefined : setTimeout(() => resolve(false), patienceMs);
  const onAbort = (): void => resolve(false);
  signal?.addEventListener("abort", onAbort);
  look();
  try {
    const result = await promise;
    signal?.throwIfAborted();
    return result;
  } finally {
    signal?.removeEventListener("abort", onAbort);
    watcher?.close();
    clearInterval(heartbeat);
    clearTimeout(patience);
  }
}
