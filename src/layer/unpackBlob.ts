import type { Linux } from "../linux/Linux.ts";
import type { Digest } from "../oci/digest.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { decompressFile } from "./decompressFile.ts";
import { createUnpacker, type UnpackedLayer } from "./unpackLayer.ts";

export interface UnpackBlobOptions {
  linux: Linux;
  /** Path of the layer's blob, as a registry gave it: gzip, zstd or plain, known by its bytes. */
  blob: string;
  /** Existing, empty. */
  directory: string;
  /** What the image's config says that comes out. */
  expectedDiffID: Digest;
  /** See `UnpackOptions.lowerPaths`. */
  lowerPaths?: readonly string[];
}

/**
 * Unpacks a layer's blob into a directory, and proves that it is the layer that the config names.
 * @throws SlipwayError `DIFF_ID_MISMATCH`, `BAD_COMPRESSION` and those of `createUnpacker`
 */
export async function unpackBlob(options: UnpackBlobOptions): Promise<UnpackedLayer> {
  const unpacker = createUnpacker(options.linux, {
    directory: options.directory,
    ...(options.lowerPaths === undefined ? {} : { lowerPaths: options.lowerPaths }),
  });
  try {
    await decompressFile({ path: options.blob }, unpacker.push);
  } catch (error) {
    unpacker.abort();
    throw error;
  }
  const unpacked = unpacker.finish();
  if (unpacked.diffID !== options.expectedDiffID) {
    throw new SlipwayError(
      "DIFF_ID_MISMATCH",
      `a layer unpacked to ${unpacked.diffID}, but the image's config names ${options.expectedDiffID}`,
      { hint: "The image is damaged or was made wrongly: it cannot be used." },
    );
  }
  return unpacked;
}
