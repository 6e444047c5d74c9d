import { createWriteStream, readSync, openSync, closeSync, statSync } from "node:fs";
import { join } from "node:path";
import { compressionFormat } from "../layer/compressionFormat.ts";
import { decompressStream } from "../layer/decompressStream.ts";
import type { Linux } from "../linux/Linux.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import type { ArchiveFiles } from "./archiveFiles.ts";
import { openDirectoryFiles } from "./directoryFiles.ts";
import { openTarFiles } from "./tarFiles.ts";

/**
 * Opens a directory, a tar (plain, or compressed in any way), or a stream of one. What is no plain file goes through the directory that
 * `spool` gives, so that its parts can be read in any order.
 * @throws SlipwayError `INVALID_ARCHIVE`, `BAD_ARCHIVE`, `BAD_COMPRESSION`
 */
export async function openArchive(
  linux: Linux,
  from: { path: string } | { stream: ReadableStream<Uint8Array> },
  spool: () => string,
): Promise<ArchiveFiles> {
  if ("stream" in from) return spooled(linux, from.stream, spool, "standard input");
  const { path } = from;
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) throw new SlipwayError("INVALID_ARCHIVE", `open ${path}: no such file or directory`);
  if (found.isDirectory()) return openDirectoryFiles(linux, path);
  if (!found.isFile() || formatOf(path) !== "none") return spooled(linux, Bun.file(path).stream(), spool, path);
  return openTarFiles(linux, path, path);
}

async function spooled(
  linux: Linux,
  stream: ReadableStream<Uint8Array>,
  spool: () => string,
  name: string,
): Promise<ArchiveFiles> {
  const aside = join(spool(), "archive");
  const { pipeline } = await import("node:stream/promises");
  let size = 0;
  async function* counted(): AsyncGenerator<Uint8Array> {
    for await (const chunk of decompressStream(stream)) {
      size += chunk.length;
      yield chunk;
    }
  }
  await pipeline(counted(), createWriteStream(aside));
  if (size === 0) throw new SlipwayError("INVALID_ARCHIVE", `${name} is empty`);
  return openTarFiles(linux, aside, name);
}

function formatOf(path: string): ReturnType<typeof compressionFormat> {
  const fd = openSync(path, "r");
  try {
    const start = new Uint8Array(8);
    readSync(fd, start, 0, start.length, 0);
    return compressionFormat(start);
  } finally {
    closeSync(fd);
  }
}
