import { availableParallelism } from "node:os";
import type { Delivery, Order } from "./compress.worker.ts";
import { compressMember, type MemberRules } from "./compressMember.ts";

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
 * the input is cut and however many cores there are. Memory does not grow with the input. Ending the output early ends the input.
 */
export function compressMembers(input: Pieces, options: MembersOptions): ReadableStream<Uint8Array> {
  const { rules, size } = options;
  const threads = Math.max(1, options.parallel ?? Math.min(availableParallelism(), MOST));
  const pieces = iterator(input);
  const pool = createPool(threads);
  /** Members under way, in their order. */
  const working: Promise<Uint8Array>[] = [];
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
    const buffer = pool.buffer(size);
    const length = await fill(new Uint8Array(buffer));
    ended = length < size;
    // Nothing at all is still one member; threads are not worth their start for one that is all there is.
    if (first && ended) working.push(Promise.resolve(compressMember(new Uint8Array(buffer, 0, length), rules)));
    else if (length > 0) working.push(pool.compress({ buffer, length, rules }));
    first = false;
  }

  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          // One more than there are threads, so that each has its next one when it is done.
          while (!ended && working.length <= threads) await take();
          const member = await working.shift();
          if (member !== undefined) {
            controller.enqueue(member);
            return;
          }
        } catch (error) {
          pool.close();
          throw error;
        }
        pool.close();
        controller.close();
      },
      async cancel() {
        pool.close();
        await pieces.return?.();
      },
    },
    { highWaterMark: 0 },
  );
}

function iterator(input: Pieces): Iterator<Uint8Array> | AsyncIterator<Uint8Array> {
  return Symbol.asyncIterator in input ? input[Symbol.asyncIterator]() : input[Symbol.iterator]();
}

interface Pool {
  buffer(size: number): ArrayBuffer;
  compress(order: Order): Promise<Uint8Array>;
  close(): void;
}

interface Job {
  order: Order;
  resolve(member: Uint8Array): void;
  reject(error: Error): void;
}

/** Threads start with the first job that finds none free. Buffers are used again. */
function createPool(threads: number): Pool {
  const spare: ArrayBuffer[] = [];
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
      else {
        spare.push(data.buffer);
        job?.resolve(data.member);
      }
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
    worker.postMessage(job.order, [job.order.buffer]);
  }

  return {
    buffer: (size) => spare.pop() ?? new ArrayBuffer(size),
    compress(order) {
      const done = new Promise<Uint8Array>((resolve, reject) => {
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
