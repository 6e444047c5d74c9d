import { availableParallelism } from "node:os";
import type { Delivery, Order } from "./compress.worker.ts";
import { memberCompressor, type MemberRules, mostOf } from "./compressMember.ts";

/** The bytes of a tar, in order. A piece need only be valid until the next one is asked for. */
export type Pieces = Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

export interface MembersOptions {
  rules: MemberRules;
  /** Bytes of each member but the last. The result depends on it. */
  size: number;
  /** Threads; the number of cores where not said. */
  parallel?: number;
}

/** A thread costs some 15 MB of memory. */
const MOST = 16;

/**
 * Cuts the bytes into members of a fixed size and compresses them on all cores, in their order. The same bytes give the same result, however
 * the input is cut and however many cores there are. Memory does not grow with the input. Ending it early ends the input. A member is only valid until
 * the next one is asked for.
 */
export async function* compressMembers(input: Pieces, options: MembersOptions): AsyncGenerator<Uint8Array, void> {
  const { rules, size } = options;
  const threads = Math.max(1, options.parallel ?? Math.min(availableParallelism(), MOST));
  const pieces = iterator(input);
  const pool = createPool(threads, size);
  /** Members under way, in their order. */
  const working: Promise<Member>[] = [];
  let rest: Uint8Array | undefined;
  let ended = false;
  let first = true;

  /** Fills the buffer; the number of bytes, 0 after the last. */
  async function fill(member: Uint8Array): Promise<number> {
    let used = 0;
    while (used < size) {
      if (rest === undefined) {
        const next = pieces.next();
        const { value, done } = next instanceof Promise ? await next : next;
        if (done === true) break;
        rest = value as Uint8Array;
      }
      const take = Math.min(rest.length, size - used);
      member.set(take === rest.length ? rest : rest.subarray(0, take), used);
      used += take;
      rest = take === rest.length ? undefined : rest.subarray(take);
    }
    return used;
  }

  async function take(): Promise<void> {
    const room = pool.room();
    const length = await fill(new Uint8Array(room.buffer));
    ended = length < size;
    // Nothing at all is still one member; threads are not worth their start for one that is all there is.
    if (first && ended) {
      const made = memberCompressor(rules)(new Uint8Array(room.buffer, 0, length), new Uint8Array(room.out));
      working.push(Promise.resolve({ ...room, length: made }));
    } else if (length > 0) working.push(pool.compress({ ...room, length, rules }));
    first = false;
  }

  try {
    for (;;) {
      // One more than there are threads, so that each has its next one when it is done.
      while (!ended && working.length <= threads) await take();
      const member = await working.shift();
      if (member === undefined) return;
      yield new Uint8Array(member.out, 0, member.length);
      pool.giveBack(member);
    }
  } finally {
    pool.close();
    await pieces.return?.();
  }
}

function iterator(input: Pieces): Iterator<Uint8Array> | AsyncIterator<Uint8Array> {
  return Symbol.asyncIterator in input ? input[Symbol.asyncIterator]() : input[Symbol.iterator]();
}

/** Where a member is read to, and where its compressed form goes. */
interface Room {
  buffer: ArrayBuffer;
  out: ArrayBuffer;
}

/** `length` bytes of `out`. */
interface Member extends Room {
  length: number;
}

interface Pool {
  room(): Room;
  compress(order: Order): Promise<Member>;
  giveBack(room: Room): void;
  close(): void;
}

interface Job {
  order: Order;
  resolve(member: Member): void;
  reject(error: Error): void;
}

/** Threads start with the first job that finds none free. */
function createPool(threads: number, size: number): Pool {
  const spare: Room[] = [];
  const waiting: Job[] = [];
  const idle: Worker[] = [];
  const busy = new Map<Worker, Job>();

  function start(): Worker {
    const worker = new Worker(workerFile());
    worker.onmessage = ({ data }: MessageEvent<Delivery>) => {
      const job = busy.get(worker);
      busy.delete(worker);
      idle.push(worker);
      next();
      if ("failed" in data) job?.reject(new Error(data.failed));
      else job?.resolve(data);
    };
    worker.onerror = (event) => {
      busy.get(worker)?.reject(new Error(`a thread that compresses has ended: ${event.message}`));
      busy.delete(worker);
    };
    return worker;
  }

  function next(): void {
    if (waiting.length === 0) return;
    const worker = idle.pop() ?? (busy.size < threads ? start() : undefined);
    if (worker === undefined) return;
    const job = waiting.shift() as Job;
    busy.set(worker, job);
    worker.postMessage(job.order, [job.order.buffer, job.order.out]);
  }

  return {
    room: () => spare.pop() ?? { buffer: new ArrayBuffer(size), out: new ArrayBuffer(mostOf(size)) },
    giveBack: ({ buffer, out }) => void spare.push({ buffer, out }),
    compress(order) {
      const done = new Promise<Member>((resolve, reject) => {
        waiting.push({ order, resolve, reject });
      });
      done.catch(() => {}); // it is awaited in its turn
      next();
      return done;
    },
    close() {
      for (const worker of [...idle.splice(0), ...busy.keys()]) worker.terminate();
      busy.clear();
    },
  };
}

/** In the executable the files of src/ lie below the folder that all parts of the program are in. */
function workerFile(): string {
  const compiled = import.meta.url.includes("/$bunfs/");
  return new URL(compiled ? "./layer/compress.worker.js" : "./compress.worker.ts", import.meta.url).href;
}
