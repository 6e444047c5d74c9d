import type { Pieces } from "../layer/compressMembers.ts";
import type { Digest } from "../oci/digest.ts";

/** A blob on its way into an archive. */
export interface BlobSource {
  /** Digest and size, where they are known before the bytes are read. */
  known: { digest: Digest; size: number } | undefined;
  /** The bytes, verified: they end in an error unless they are what the digest names. */
  stream(): Promise<ReadableStream<Uint8Array>>;
  /** The same; a piece is only valid until the next one is asked for. */
  pieces?: (() => Pieces) | undefined;
  /** Digest and size, after the bytes were read. */
  described(): Promise<{ digest: Digest; size: number }>;
}

/** Where the files of an OCI layout are written, one after the other: a tar or a directory. */
export interface LayoutSink {
  /** A small file. One of that path in a directory is replaced. */
  file(path: string, bytes: Uint8Array): void;
  /** What the file of that path held before; undefined where there was none. */
  earlier(path: string): Uint8Array | undefined;
  /** Under `blobs/sha256/`, once. */
  blob(source: BlobSource): Promise<void>;
  /** Everything is there; the archive gets its name. */
  finish(): void;
  /** Leaves nothing half. Nothing after `finish`. */
  abort(): void;
}

/** The blob's bytes, each piece for as long as it is looked at. */
export async function piecesOf(source: BlobSource): Promise<Pieces> {
  return source.pieces?.() ?? source.stream();
}

export function blobPath(digest: Digest): string {
  return `blobs/${digest.replace(":", "/")}`;
}
