import type { ContainerRecord } from "../../store/Store.ts";
import { endRestart, isUp, recordExit, refreshContainer, startLock } from "./containerState.ts";
import { containerOptions } from "./ContainerOptions.ts";
import type { Engine } from "../Engine.ts";
import { recordContainerEvent } from "../events/eventLog.ts";
import { SIGKILL, sendSignal } from "./killContainer.ts";
import { parseSignal } from "./signals.ts";
import { untilEnded } from "./untilEnded.ts";

const PATIENCE_SECONDS = 10; // Docker's

export interface StopOptions {
  /** Seconds until SIGKILL; -1 waits for ever. Default: the container's, then 10. */
  timeout?: number;
  /** Default: the image's StopSignal, then SIGTERM. */
  signal?: string;
  /** The host goes down: its policy may start it again when the host has started. */
  withHost?: boolean;
}

/** Asks the container to end and makes it end when it does not; resolves when it has. One that does not run is left as it is. */
export async function stopContainer(engine: Engine, nameOrId: string, options: StopOptions = {}): Promise<void> {
  const { containers } = engine.store;
  const record = await forStopping(engine, refreshContainer(engine, containers.find(nameOrId)), options);
  if (!isUp(record)) return;
  const { config } = containerOptions(record);
  const signal = parseSignal(options.signal ?? (config.StopSignal || "SIGTERM"));
  const seconds = options.timeout ?? config.StopTimeout ?? PATIENCE_SECONDS;
  sendSignal(engine, record, signal);
  const wait = { signal: engine.signal };
  const ended = await untilEnded(engine, record, seconds < 0 ? wait : { ...wait, patienceMs: seconds * 1000 });
  if (!ended) {
    sendSignal(engine, record, SIGKILL);
    await untilEnded(engine, record, wait);
  }
  // `--rm`: whoever is attached, or conmon, may have taken it away by now.
  const current = containers.get(record.id);
  if (current !== undefined && isUp(current)) recordExit(engine, current);
  recordContainerEvent(engine, record, "stop");
}

/** From now on its policy leaves it alone: the record as it is when nobody is at its start any more, up where that came first. */
async function forStopping(
  engine: Engine,
  record: ContainerRecord,
  { withHost = false }: StopOptions,
): Promise<ContainerRecord> {
  const { store } = engine;
  const isKept = !["no", undefined].includes(containerOptions(record).restart?.name);
  if (!isUp(record) && !isKept) return record;
  const stopped = store.containers.update(record.id, { stopped: true, stoppedWithHost: withHost });
  if (isUp(stopped)) return stopped;
  endRestart(stopped);
  const unlock = await store.lock(startLock(record.id));
  try {
    return refreshContainer(engine, store.containers.find(record.id));
  } finally {
    unlock();
  }
}
