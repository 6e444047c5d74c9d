import { compressionFormat } from "./compressionFormat.ts";
import { badCompression, decompressor } from "./decompressFile.ts";

/**
 * The uncompressed bytes of a stream, whose format its first bytes tell. Memory does not grow with the stream; cancelling ends the input.
 * @throws SlipwayError `BAD_COMPRESSION`
 */
export function decompressStream(stream: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  let pieces: AsyncIterator<Uint8Array> | undefined;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        pieces ??= decompressed(stream)[Symbol.asyncIterator]();
        const { done, value } = await pieces.next();
        if (done === true) controller.close();
        else controller.enqueue(value);
      },
      async cancel(reason) {
        if (pieces === undefined) await stream.cancel(reason);
        else await pieces.return?.();
      },
    },
    { highWaterMark: 0 },
  );
}

const LONGEST_MAGIC = 6;

async function* decompressed(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader();
  const start: Uint8Array[] = [];
  let length = 0;
  let ended = false;
  while (length < LONGEST_MAGIC && !ended) {
    const { done, value } = await reader.read();
    if (done) ended = true;
    else {
      start.push(value);
      length += value.length;
    }
  }
  async function* input(): AsyncGenerator<Uint8Array> {
    try {
      yield* start;
      while (!ended) {
        const { done, value } = await reader.read();
        if (done) return;
        yield value;
      }
    } finally {
      await reader.cancel();
    }
  }
  const format = compressionFormat(Buffer.concat(start));
  if (format === "none") {
    yield* input();
    return;
  }
  const [transform, { pipeline, Readable }] = await Promise.all([decompressor(format), import("node:stream")]);
  let failed: unknown;
  pipeline(Readable.from(input(), { objectMode: false }), transform, (error) => {
    failed = error;
  });
  try {
    for await (const piece of transform) yield piece as Uint8Array;
  } catch (error) {
    throw badCompression(format, failed ?? error);
  }
}
