import { existsSync, watch } from "node:fs";
import { isAlive } from "../../linux/processStart.ts";
import type { ContainerRecord } from "../../store/Store.ts";
import { containerFiles } from "./containerFiles.ts";
import { prepareRelease } from "../networks/networkRelease.ts";
import { readExitFile } from "./containerState.ts";
import type { Engine } from "../Engine.ts";

const SOON_MS = 10;

/** False when patience ended first. Hears of the exit file from the kernel; looks at the process now and then, for the case that conmon was killed. */
export async function untilEnded(
  engine: Engine,
  record: ContainerRecord,
  options: { patienceMs?: number; signal?: AbortSignal | undefined } = {},
): Promise<boolean> {
  const { patienceMs, signal } = options;
  const files = containerFiles(engine.store.containers.directory(record.id), record.id);
  const ended = (): boolean => readExitFile(files.exit) !== undefined || !isAlive(record.pid, record.pidStart);
  await prepareRelease(engine, record);
  // Who asks often knows that it is about to end, and a watch takes longer to set up than these few looks.
  for (let looks = 0; looks <= SOON_MS; looks++) {
    if (ended()) return true;
    signal?.throwIfAborted();
    await Bun.sleep(1);
  }
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
