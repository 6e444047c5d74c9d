import { closeSync, existsSync, openSync, readSync, statSync } from "node:fs";
import type { Engine } from "../Engine.ts";
import { isUp, refreshContainer } from "../containers/containerState.ts";
import { eventLogs, parseEvents, readEvents, type StoreEvent } from "./eventLog.ts";
import { containerMatches } from "./eventFilter.ts";

export interface EventsOptions {
  /** Milliseconds since the epoch. */
  since?: number;
  /** With it, ends when that time has come. */
  until?: number;
  filters: Record<string, string[]>;
}

const LOOK_MS = 100;

/**
 * Gives out what happens, and what has happened `since`, oldest first. Nobody writes down the end of a container that nobody looks at: the
 * reader looks, so that it comes with its own time.
 */
export async function watchEvents(
  engine: Engine,
  options: EventsOptions,
  emit: (event: StoreEvent) => void,
): Promise<void> {
  const [, path] = eventLogs(engine.store.root);
  const print = (event: StoreEvent): void => {
    if (options.until !== undefined && event.at > options.until) return;
    if (containerMatches(event, options.filters)) emit(event);
  };
  look(engine);
  let { offset, inode } = endOf(path);
  if (options.since !== undefined) {
    for (const event of readEvents(engine)) if (event.at >= options.since) print(event);
  }
  const buffer = new Uint8Array(256 * 1024);
  let rest = "";
  const drain = (): void => {
    if (!existsSync(path)) return;
    const now = statSync(path);
    if (now.ino !== inode) {
      offset = 0; // a new log; the last lines of the old one may go by unseen
      inode = now.ino;
    }
    const fd = openSync(path, "r");
    try {
      for (;;) {
        const count = readSync(fd, buffer, 0, buffer.length, offset);
        if (count === 0) break;
        offset += count;
        rest += Buffer.from(buffer.subarray(0, count)).toString();
      }
    } finally {
      closeSync(fd);
    }
    const end = rest.lastIndexOf("\n") + 1;
    for (const event of parseEvents(rest.slice(0, end))) print(event);
    rest = rest.slice(end);
  };
  while (options.until === undefined || Date.now() < options.until) {
    engine.signal.throwIfAborted();
    await Bun.sleep(LOOK_MS);
    look(engine);
    drain();
  }
}

/** Makes the records of running containers true, which writes down those that have ended. */
function look(engine: Engine): void {
  for (const record of engine.store.containers.list()) if (isUp(record)) refreshContainer(engine, record);
}

function endOf(path: string): { offset: number; inode: number } {
  const stat = statSync(path, { throwIfNoEntry: false });
  return { offset: stat?.size ?? 0, inode: stat?.ino ?? 0 };
}
