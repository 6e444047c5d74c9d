import type { Pieces } from "../layer/compressMembers.ts";
import type { Digest } from "../oci/digest.ts";

/**
 * One layer of an image, wherever it lies.
 * Every stream may be taken any number of times and is verified while it is read: a reader that came to the end without
 * an error has seen the bytes that the digest names.
 */
export interface Layer {
  /** Of the compressed form. */
  readonly mediaType: string;
  /** Digest of the uncompressed tar (image-spec, config.md "Layer DiffID"). */
  diffID(): Promise<Digest>;
  /** Digest and size (bytes) of the compressed form, as a manifest names it. */
  digest(): Promise<Digest>;
  size(): Promise<number>;
  /**
   * Digest and size, where they can be had without reading the layer. Where they cannot, one reading of `compressed` to its end makes
   * them known: a sink need not compress twice.
   */
  known?(): { digest: Digest; size: number } | undefined;
  compressed(): Promise<ReadableStream<Uint8Array>>;
  /** The same bytes for who is done with each piece before the next one is asked for: their memory is used again. */
  compressedPieces?(): Pieces;
  uncompressed(): Promise<ReadableStream<Uint8Array>>;
}
