import type { Linux } from "../linux/Linux.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";

const CHUNK = 1024 * 1024;

/** Bytes of a file from `start` on; `done` is called once, at the end, at an error or when the reader gives up. */
export function rangeStream(
  linux: Linux,
  fd: number,
  { start, size }: { start: number; size: number },
  done: () => void = () => {},
): ReadableStream<Uint8Array> {
  let at = start;
  const end = start + size;
  return new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        if (at >= end) {
          done();
          controller.close();
          return;
        }
        const chunk = new Uint8Array(Math.min(CHUNK, end - at));
        const length = linux.pread(fd, chunk, at);
        if (length === 0) {
          done();
          throw new SlipwayError("TRUNCATED_ARCHIVE", "the archive ends in the middle of a file");
        }
        at += length;
        controller.enqueue(chunk.subarray(0, length));
      },
      cancel: done,
    },
    { highWaterMark: 0 },
  );
}
