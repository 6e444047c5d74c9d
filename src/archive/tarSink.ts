import { createReadStream } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { fileBlock, tarHeader } from "../layer/tarHeader.ts";
import type { Digest } from "../oci/digest.ts";
import type { Linux } from "../linux/Linux.ts";
import { type BlobSource, blobPath, type LayoutSink, piecesOf } from "./layoutSink.ts";
import { openOutput, type Output } from "./outputFile.ts";

const BLOCK = 512;

/**
 * Writes a layout as one tar. What is compressed on the way has its header only when its size is known: in a file that is put in afterwards; for a
 * stream the blob waits in the directory that `spool` gives, until it is whole.
 * @throws SlipwayError `INVALID_OUTPUT`
 */
export function createTarSink(linux: Linux, dest: string, spool: () => string): LayoutSink {
  const output = openOutput(linux, dest);
  const written = new Set<Digest>();
  const directory = (path: string): void => output.write(directoryHeader(path));
  directory("blobs");
  directory("blobs/sha256");

  async function copy(source: BlobSource): Promise<number> {
    const before = output.size;
    for await (const chunk of await piecesOf(source)) output.write(chunk);
    return output.size - before;
  }

  return {
    file(path, bytes) {
      output.write(fileBlock(path, bytes.length));
      output.write(bytes);
      pad(output, bytes.length);
    },
    earlier: () => undefined,
    async blob(source) {
      const { known } = source;
      if (known !== undefined) {
        if (written.has(known.digest)) return;
        written.add(known.digest);
        output.write(fileBlock(blobPath(known.digest), known.size));
        pad(output, await copy(source));
        return;
      }
      if (output.seekable) {
        const at = output.size;
        output.write(new Uint8Array(BLOCK));
        const size = await copy(source);
        pad(output, size);
        const { digest } = await source.described();
        // The same blob twice, found out too late, is there twice: a reader takes the last.
        written.add(digest);
        output.patch(at, fileBlock(blobPath(digest), size));
        return;
      }
      const path = join(spool(), "blob");
      const aside = openOutput(linux, path);
      try {
        for await (const chunk of await piecesOf(source)) aside.write(chunk);
        aside.finish();
      } finally {
        aside.abort();
      }
      const { digest, size } = await source.described();
      if (written.has(digest)) return;
      written.add(digest);
      output.write(fileBlock(blobPath(digest), size));
      for await (const chunk of Readable.toWeb(createReadStream(path)) as unknown as AsyncIterable<Uint8Array>)
        output.write(chunk);
      pad(output, size);
    },
    finish() {
      output.write(new Uint8Array(2 * BLOCK));
      output.finish();
    },
    abort: () => output.abort(),
  };
}

function pad(output: Output, size: number): void {
  const rest = size % BLOCK;
  if (rest > 0) output.write(new Uint8Array(BLOCK - rest));
}

function directoryHeader(path: string): Uint8Array {
  return tarHeader({
    path,
    type: "directory",
    mode: 0o755,
    uid: 0,
    gid: 0,
    size: 0,
    mtime: { sec: 0, nsec: 0 },
    linkname: "",
    major: 0,
    minor: 0,
    xattrs: [],
  });
}
