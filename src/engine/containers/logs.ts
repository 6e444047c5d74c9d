import { closeSync, existsSync, fstatSync, openSync, readSync, statSync, watch } from "node:fs";
import { isErrno } from "../../linux/LinuxError.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { containerFiles } from "./containerFiles.ts";
import { containerOptions } from "./ContainerOptions.ts";
import { isUp, refreshContainer } from "./containerState.ts";
import type { Engine, Streams } from "../Engine.ts";
import { createLogParser, type LogEntry } from "./logEntries.ts";
import { logDetails, logFiles } from "./logFiles.ts";

export interface LogsOptions {
  /** Goes on until the container has ended. */
  follow?: boolean;
  /** Last lines only. */
  tail?: number;
  timestamps?: boolean;
  /** What `--log-opt labels`, `env` and `tag` ask for stands before each line. */
  details?: boolean;
  /** Milliseconds since the epoch; see `parseLogTime` for what the flags take. */
  since?: number;
  until?: number;
}

const CHUNK = 64 * 1024;

/** Gives out what the container has printed, each stream to its own. Memory does not grow with the log. @throws SlipwayError `CONTAINER_NOT_FOUND` */
export async function logs(
  engine: Engine,
  nameOrId: string,
  options: LogsOptions,
  streams: Pick<Streams, "stdout" | "stderr">,
): Promise<void> {
  const record = engine.store.containers.find(nameOrId);
  const path = containerFiles(engine.store.containers.directory(record.id), record.id).log;
  const isRunning = (): boolean => {
    const current = engine.store.containers.get(record.id);
    return current !== undefined && isUp(refreshContainer(engine, current));
  };
  const details = options.details === true ? `${logDetails(containerOptions(record))} ` : "";
  const withTimes = options.timestamps === true;
  const print = (entry: LogEntry): void => {
    if (options.since !== undefined && entry.time < options.since) return;
    if (options.until !== undefined && entry.time > options.until) return;
    const before = `${withTimes ? `${dockerTime(entry.stamp)} ` : ""}${details}`;
    (entry.stream === 1 ? streams.stdout : streams.stderr)(before === "" ? entry.text : concat(before, entry.text));
  };
  const parser = createLogParser(withTimes || details !== "");
  const chunk = new Uint8Array(CHUNK);
  let open: { fd: number; offset: number } | undefined;
  const drain = (): void => {
    for (;;) {
      const count = open === undefined ? 0 : readSync(open.fd, chunk, 0, CHUNK, open.offset);
      if (open === undefined || count === 0) return;
      open.offset += count;
      parser.push(chunk.subarray(0, count), print);
    }
  };
  const switchTo = (file: { fd: number; offset: number }): void => {
    if (open !== undefined) closeSync(open.fd);
    open = file;
  };
  try {
    for (const file of openFiles(path, options.tail)) {
      switchTo(file);
      drain();
    }
    const follow = (): void => {
      drain();
      // The file has become an older one: what was written to it meanwhile has been read, the new one begins.
      if (open !== undefined && statSync(path, { throwIfNoEntry: false })?.ino === fstatSync(open.fd).ino) return;
      drain();
      const next = openOrNot(path);
      if (next === undefined) return;
      switchTo({ fd: next, offset: 0 });
      drain();
    };
    if (options.follow === true) await followLog(engine, path, { drain: follow, isRunning, until: options.until });
    parser.end(print);
  } finally {
    if (open !== undefined) closeSync(open.fd);
  }
}

/** The log's files, older ones first, opened, with where to begin in each. */
function openFiles(path: string, tail: number | undefined): { fd: number; offset: number }[] {
  const files: { fd: number; offset: number }[] = [];
  let wanted = tail;
  for (const each of logFiles(path).toReversed()) {
    const fd = openOrNot(each);
    if (fd === undefined) continue;
    const start = wanted === undefined ? { offset: 0, lines: 0 } : tailStart(fd, wanted);
    files.unshift({ fd, offset: start.offset });
    if (wanted === undefined) continue;
    wanted -= start.lines;
    if (wanted <= 0) break;
  }
  return files;
}

function openOrNot(path: string): number | undefined {
  try {
    return openSync(path, "r");
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined; // never started, or just renamed
    throw error;
  }
}

async function followLog(
  engine: Engine,
  path: string,
  log: { drain: () => void; isRunning: () => boolean; until: number | undefined },
): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const look = (): void => {
    log.drain();
    if (log.isRunning() && (log.until === undefined || Date.now() <= log.until)) return;
    log.drain(); // what came between the last look and the end
    resolve();
  };
  const watcher = existsSync(path) ? watch(path, () => log.drain()) : undefined;
  const heartbeat = setInterval(look, 100);
  const onAbort = (): void => resolve();
  engine.signal.addEventListener("abort", onAbort);
  look();
  try {
    await promise;
  } finally {
    engine.signal.removeEventListener("abort", onAbort);
    watcher?.close();
    clearInterval(heartbeat);
  }
}

/** Where the last `lines` lines of a file begin, found from its end, and how many of them it has. A line may be written in parts, which count as one. */
function tailStart(fd: number, lines: number): { offset: number; lines: number } {
  let position = fstatSync(fd).size;
  if (lines <= 0) return { offset: position, lines: 0 };
  const chunk = new Uint8Array(CHUNK);
  // Record boundaries are newlines; one belongs to a finished line where its tag is F.
  let pending = Buffer.alloc(0);
  let found = 0;
  let isLast = true;
  while (position > 0) {
    const length = Math.min(CHUNK, position);
    position -= length;
    const count = readSync(fd, chunk, 0, length, position);
    pending = Buffer.concat([chunk.subarray(0, count), pending]);
    for (let end = pending.length; ; ) {
      const newline = end === 0 ? -1 : pending.lastIndexOf(10, end - 1);
      if (newline < 0) {
        pending = pending.subarray(0, end);
        break;
      }
      const record = pending.subarray(newline + 1, end);
      if (record.length > 0) {
        if (isLast || isFinished(record)) found++;
        isLast = false;
        if (found > lines) return { offset: position + end, lines };
      }
      end = newline;
      if (end === 0) {
        pending = pending.subarray(0, 0);
        break;
      }
    }
  }
  if (pending.length > 0 && !isLast && isFinished(pending)) found++;
  return found > lines ? { offset: pending.length + 1, lines } : { offset: 0, lines: found };
}

/** `time stream F text`. */
function isFinished(record: Uint8Array): boolean {
  const head = Buffer.from(record.buffer, record.byteOffset, Math.min(record.length, 64)).toString("latin1");
  return head.split(" ", 3)[2] === "F";
}

/** conmon writes local time with its offset; Docker shows UTC with nanoseconds. */
function dockerTime(stamp: string): string {
  const parts = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d+)(Z|[+-]\d\d:\d\d)$/.exec(stamp);
  if (parts === null) return stamp;
  const seconds = new Date(`${parts[1]}${parts[3]}`).toISOString().slice(0, 19);
  return `${seconds}.${(parts[2] as string).padEnd(9, "0").slice(0, 9)}Z`;
}

/**
 * What `--since` and `--until` take: a Go duration before now (`10m`, `1h30m`), seconds since the epoch, or a date with or without time and zone.
 * Milliseconds since the epoch. @throws SlipwayError `INVALID_TIME`
 */
export function parseLogTime(text: string, now = Date.now()): number {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000;
  if (/^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/.test(text)) {
    const units: Record<string, number> = { ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
    let total = 0;
    for (const [, value, , unit] of text.matchAll(/(\d+(\.\d+)?)(ns|us|µs|ms|s|m|h)/g)) {
      total += Number(value) * (units[unit as string] as number);
    }
    return now - total;
  }
  const time = Date.parse(/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00` : text);
  if (Number.isNaN(time)) {
    throw new SlipwayError("INVALID_TIME", `${JSON.stringify(text)} is neither a time nor a duration`, {
      hint: "Take 10m, 2026-01-31T12:00:00 or seconds since the epoch.",
    });
  }
  return time;
}

function concat(text: string, bytes: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(text), bytes]);
}
