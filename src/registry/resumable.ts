import { backOff, type Patience, readInTime, Transient } from "./retry.ts";

export interface Opened {
  reader: ReadableStreamDefaultReader<Uint8Array>;
  /** So many bytes come that are known already. */
  skip: number;
}

export interface ResumableSource {
  /** Bytes that must come. */
  size: number;
  open(from: number): Promise<Opened>;
  /** What is thrown where it comes to nothing. */
  failed(error: Transient): Error;
  signal: AbortSignal;
  patience: Patience;
}

/** Goes on where a broken or stalled connection left off, as long as each attempt brings something. More than `size` bytes are no end of it: who reads counts. */
export function resumable(first: Opened, source: ResumableSource): ReadableStream<Uint8Array> {
  const { size, open, failed, signal, patience } = source;
  let { reader, skip } = first;
  let position = 0;
  let failures = 0;

  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        for (;;) {
          try {
            const { done, value } = await readInTime(reader, patience.stall);
            if (done && position < size) throw new Transient("the connection was closed too early");
            if (done) {
              controller.close();
              return;
            }
            const known = Math.min(skip, value.length);
            skip -= known;
            if (known === value.length) continue;
            failures = 0;
            const fresh = known === 0 ? value : value.subarray(known);
            position += fresh.length;
            controller.enqueue(fresh);
            return;
          } catch (error) {
            signal.throwIfAborted();
            void reader.cancel().catch(() => {});
            const broken =
              error instanceof Transient ? error : new Transient(`${(error as Error).message}`, undefined, error);
            if (++failures >= patience.tries) throw failed(broken);
            await backOff(broken, failures, signal, patience);
            try {
              ({ reader, skip } = await open(position));
            } catch (again) {
              throw again instanceof Transient ? failed(again) : again;
            }
          }
        }
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
}
