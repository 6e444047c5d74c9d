import { mediaTypes } from "../oci/descriptor.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { compressMembers, type Pieces } from "./compressMembers.ts";

/** How a layer's tar is compressed. */
export interface Compression {
  format: "gzip" | "zstd" | "uncompressed";
  /** gzip: 0 to 9, zstd: 1 to 22; the format's own default where not said. */
  level?: number;
}

const types: Record<Compression["format"], string> = {
  gzip: mediaTypes.ociLayerGzip,
  zstd: mediaTypes.ociLayerZstd,
  uncompressed: mediaTypes.ociLayer,
};

export function layerMediaType({ format }: Compression): string {
  return types[format];
}

/** @throws SlipwayError `INVALID_COMPRESSION` */
export function parseCompression(format: string, level?: string): Compression {
  const fail = (why: string, hint?: string): never => {
    throw new SlipwayError("INVALID_COMPRESSION", why, hint === undefined ? {} : { hint });
  };
  if (format === "estargz" || format === "nydus" || format === "zstd:chunked")
    fail(`compression=${format} is for lazy pulling, which slipway does not do`, "Take gzip, zstd or uncompressed.");
  if (format !== "gzip" && format !== "zstd" && format !== "uncompressed")
    return fail(`compression=${format} is not known`, "There are gzip, zstd and uncompressed.");
  if (level === undefined || level === "") return { format };
  const value = Number(level);
  const [least, most] = format === "zstd" ? [1, 22] : [0, 9];
  if (!Number.isInteger(value) || level.trim() === "") fail(`compression-level=${level} is no whole number`);
  if (format === "uncompressed" || value === -1) return { format }; // -1 is zlib's word for the default
  if (value < least || value > most) fail(`compression-level=${level} is not between ${least} and ${most}`);
  return { format, level: value };
}

/** Raised when the bytes that come out change. */
const REVISION = 2;

/**
 * Bytes of a member or frame. One of gzip costs 0.2 % of a layer of 118 MiB; zstd looks back farther than gzip's 32 KiB, so that its frames are
 * larger.
 */
const sizes = { gzip: 1024 * 1024, zstd: 2 * 1024 * 1024 };

/** What the bytes that `compressLayer` gives depend on, beside its input. */
export function compressionKey({ format, level }: Compression): string {
  return `${format} ${level ?? "default"} ${REVISION} ${Bun.version}`;
}

/**
 * The layer's tar, compressed on all cores: members of gzip or frames of zstd of a fixed size, which any reader takes as one stream. The same
 * bytes give the same result, however many cores there are. Memory does not grow with the layer; ending the output early ends the input. A piece is
 * only valid until the next one is asked for.
 */
export function compressLayer(
  tar: Pieces,
  { format, level }: Compression,
  options: { parallel?: number } = {},
): Pieces {
  if (format === "uncompressed") return tar;
  const rules = { format, ...(level === undefined ? {} : { level }) };
  return compressMembers(tar, { rules, size: sizes[format], ...options });
}

/** The pieces as a stream, each copied, as it is only valid until the next. */
export function streamOf(pieces: Pieces): ReadableStream<Uint8Array> {
  const iterator = Symbol.asyncIterator in pieces ? pieces[Symbol.asyncIterator]() : pieces[Symbol.iterator]();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await iterator.next();
        if (done === true) controller.close();
        else controller.enqueue((value as Uint8Array).slice());
      },
      async cancel() {
        await iterator.return?.();
      },
    },
    { highWaterMark: 0 },
  );
}
