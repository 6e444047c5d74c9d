import type { Pieces } from "../layer/compressMembers.ts";
import { createHasher, type Digest } from "../oci/digest.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";

/**
 * The stream, hashed as it is read. `check` hears digest and size when the stream has come to its end, before the reader does; what it throws
 * the reader gets instead of the end. Cancelling goes through.
 */
export function hashed(
  stream: ReadableStream<Uint8Array>,
  check: (found: { digest: Digest; size: number }) => void,
): ReadableStream<Uint8Array> {
  const reader = stream.getReader();
  const hasher = createHasher();
  let size = 0;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await reader.read();
        if (done) {
          check({ digest: hasher.digest(), size });
          controller.close();
          return;
        }
        hasher.update(value);
        size += value.length;
        controller.enqueue(value);
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
}

/** The stream, which ends in an error unless it gives what `expected` says. @throws SlipwayError `DIGEST_MISMATCH`, `SIZE_MISMATCH` */
export function verified(
  stream: ReadableStream<Uint8Array>,
  expected: { digest: Digest; size?: number },
): ReadableStream<Uint8Array> {
  return hashed(stream, ({ digest, size }) => {
    if (expected.size !== undefined && size !== expected.size)
      throw new SlipwayError("SIZE_MISMATCH", `blob ${expected.digest} has ${size} bytes instead of ${expected.size}`);
    if (digest !== expected.digest)
      throw new SlipwayError("DIGEST_MISMATCH", `content that should be ${expected.digest} is ${digest}`);
  });
}

/** The same of pieces that are only valid until the next one is asked for. */
export async function* hashedPieces(
  pieces: Pieces,
  check: (found: { digest: Digest; size: number }) => void,
): AsyncGenerator<Uint8Array, void> {
  const hasher = createHasher();
  let size = 0;
  for await (const piece of pieces) {
    hasher.update(piece);
    size += piece.length;
    yield piece;
  }
  check({ digest: hasher.digest(), size });
}
