import type { Linux } from "../linux/Linux.ts";
import { type CompressionFormat, compressionFormat } from "./compressionFormat.ts";
import { decompressFile } from "./decompressFile.ts";
import { createUnpacker, type UnpackedLayer } from "./unpackLayer.ts";

/** Enough for the first header of a tar. */
const HEAD = 512;

/** What ADD unpacks, known by its bytes: a tar, or a tar in one of the compressions; undefined for anything else. */
export async function archiveFormat(linux: Linux, fd: number): Promise<CompressionFormat | undefined> {
  const head = new Uint8Array(HEAD);
  linux.pread(fd, head, 0);
  const format = compressionFormat(head);
  if (format === "none") return isTar(head) ? "none" : undefined;
  // A compressed file that holds no tar is copied as it is.
  const start: Uint8Array[] = [];
  let length = 0;
  const enough = new Error("enough");
  try {
    await decompressFile({ fd }, (chunk) => {
      start.push(chunk.slice(0, HEAD));
      length += chunk.length;
      if (length >= HEAD) throw enough;
    });
  } catch (error) {
    if (error !== enough) return undefined;
  }
  const inner = Buffer.concat(start).subarray(0, HEAD);
  return inner.length === HEAD && isTar(inner) ? format : undefined;
}

/** Unpacks the whole archive into an existing, empty directory; names that look like whiteouts are plain files. */
export async function extractArchive(options: {
  linux: Linux;
  fd: number;
  directory: string;
}): Promise<Pick<UnpackedLayer, "impliedDirs">> {
  const unpacker = createUnpacker(options.linux, { directory: options.directory, whiteouts: "literal" });
  try {
    await decompressFile({ fd: options.fd }, unpacker.push);
  } catch (error) {
    unpacker.abort();
    throw error;
  }
  return unpacker.finish();
}

/** The sum of a header's bytes is in the header: this holds for all kinds of tar, and by chance for hardly anything else. */
function isTar(head: Uint8Array): boolean {
  let sum = 0;
  for (let i = 0; i < HEAD; i++) sum += i >= 148 && i < 156 ? 32 : (head[i] as number);
  const text = Buffer.from(head.subarray(148, 156)).toString("latin1").replaceAll("\0", " ").trim();
  return /^[0-7]+$/.test(text) && Number.parseInt(text, 8) === sum && sum !== 8 * 32;
}
