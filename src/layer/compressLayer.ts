import { compressGzip } from "./compressGzip.ts";
import { mediaTypes } from "../oci/descriptor.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";

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

/** What the bytes that `compressLayer` gives depend on, beside its input. */
export function compressionKey({ format, level }: Compression): string {
  return `${format} ${level ?? "default"} ${Bun.version}`;
}

/** The layer's tar, compressed on all cores. The same bytes every time. */
export function compressLayer(tar: ReadableStream<Uint8Array>, compression: Compression): ReadableStream<Uint8Array> {
  switch (compression.format) {
    case "uncompressed":
      return tar;
    case "gzip":
    case "zstd":
      return compressGzip(tar, compression.level === undefined ? {} : { level: compression.level });
  }
}
