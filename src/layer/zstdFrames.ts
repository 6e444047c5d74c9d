import { constants, createZstdCompress } from "node:zlib";

/** Writes the bytes as one frame into `out` and returns its length. The same bytes give the same frame, whatever came before. */
export type ZstdFrames = (bytes: Uint8Array, out: Uint8Array) => number;

/** What a stream of node:zlib stands on: no part of its documentation, and the only way to one context and one output buffer for many frames. */
interface Stream {
  _handle: {
    writeSync(
      flush: number,
      from: Uint8Array,
      at: number,
      length: number,
      to: Uint8Array,
      toAt: number,
      room: number,
    ): void;
  };
  /** Room that is left in the output, bytes that are left of the input. */
  _writeState: Uint32Array;
}

/**
 * Frames by one context. `Bun.zstdCompressSync` gives the same bytes by a context and an output of its own for each, whose new pages cost as much
 * as the compression of what hardly compresses.
 */
export function createZstdFrames(level: number): ZstdFrames {
  const stream = createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: level } }) as unknown as Stream;
  return (bytes, out) => {
    stream._handle.writeSync(constants.ZSTD_e_end, bytes, 0, bytes.length, out, 0, out.length);
    const [room, left] = stream._writeState as unknown as [number, number];
    if (left !== 0) throw new Error(`zstd left ${left} bytes of a frame`);
    return out.length - room;
  };
}
