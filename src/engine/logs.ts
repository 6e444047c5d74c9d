import { closeSync, fstatSync, openSync, readSync, watch } from "node:fs";
import { isErrno } from "../linux/LinuxError.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { containerFiles } from "./containerFiles.ts";
import { isUp, refreshContainer } from "./containerState.ts";
import type { Engine, Streams } from "./Engine.ts";
import { type LogEntry, createLogParser } from "./logEntries.ts";

export interface LogsOptions {
  /** Goes on until the container has ended. */
  follow?: boolean;
  /** Last lines only. */
  tail?: number;
  timestamps?: boolean;
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
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch (error) {
    if (isErrno(error, "ENOENT")) return; // never started
    throw error;
  }
  try {
    const print = (entry: LogEntry): void => {
      if (options.since !== undefined && entry.time < options.since) return;
      if (options.until !== undefined && entry.time > options.until) return;
      const bytes = options.timestamps === true ? concat(`${dockerTime(entry.stamp)} `, entry.text) : entry.text;
      (entry.stream === 1 ? streams.stdout : streams.stderr)(bytes);
    };
    const parser = createLogParser(options.timestamps === true);
    let offset = options.tail === undefined ? 0 : tailOffset(fd, options.tail);
    const chunk = new Uint8Array(CHUNK);
    const drain = (): void => {
      for (;;) {
        const count = readSync(fd, chunk, 0, CHUNK, offset);
        if (count === 0) return;
        offset += count;
        parser.push(chunk.subarray(0, count), print);
      }
    };
    drain();
    if (options.follow === true) await followLog(engine, path, { drain, isRunning, until: options.until });
    parser.end(print);
  } finally {
    closeSync(fd);
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
  const watcher = watch(path, () => log.drain());
  const heartbeat = setInterval(look, 100);
  const onAbort = (): void => resolve();
  engine.signal.addEventListener("abort", onAbort);
  look();
  try {
    await promise;
  } finally {
    engine.signal.removeEventListener("abort", onAbort);
    watcher.close();
    clearInterval(heartbeat);
  }
}

/** Where the last `lines` lines of the log begin, found from its end. A line may be written in parts, which count as one. */
function tailOffset(fd: number, lines: number): number {
  let position = fstatSync(fd).size;
  if (lines <= 0) return position;
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
        if (found > lines) return position + end;
      }
      end = newline;
      if (end === 0) {
        pending = pending.subarray(0, 0);
        break;
      }
    }
  }
  if (pending.length > 0 && !isLast && isFinished(pending)) found++;
  return found > lines ? pending.length + 1 : 0;
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
