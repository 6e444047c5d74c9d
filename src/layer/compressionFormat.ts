export type CompressionFormat = "none" | "gzip" | "zstd" | "bzip2" | "xz";

const magics: [CompressionFormat, number[]][] = [
  ["gzip", [0x1f, 0x8b]],
  ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
  ["bzip2", [0x42, 0x5a, 0x68]],
  ["xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
];

/** By the first bytes, which do not lie as names and media types do. */
export function compressionFormat(start: Uint8Array): CompressionFormat {
  return magics.find(([, magic]) => magic.every((byte, i) => start[i] === byte))?.[0] ?? "none";
}
