import { existsSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { AT_FDCWD, LOCK_EX, O_DIRECTORY, O_RDONLY } from "../linux/constants.ts";
import type { Linux } from "../linux/Linux.ts";
import { isErrno } from "../linux/LinuxError.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { blobPath, type LayoutSink, piecesOf } from "./layoutSink.ts";
import { openOutput } from "./outputFile.ts";

/**
 * Writes a layout into a directory, beside what is there already. Every file is whole or not there; the directory is locked until the end, so that
 * of two writers neither loses what the other has listed.
 * @throws SlipwayError `INVALID_OUTPUT`
 */
export function createDirectorySink(linux: Linux, dest: string): LayoutSink {
  const directory = resolve(dest);
  const invalid = (why: string): SlipwayError =>
    new SlipwayError("INVALID_OUTPUT", `${dest} cannot be written: ${why}`);
  if (statSync(directory, { throwIfNoEntry: false })?.isDirectory() === false) throw invalid("it is a file");
  if (existsSync(directory) && !existsSync(join(directory, "oci-layout")) && linuxNames(linux, directory).length > 0)
    throw new SlipwayError("INVALID_OUTPUT", `${dest} holds other files and no OCI layout`, {
      hint: "Name an empty directory, or one that is not there.",
    });
  mkdirSync(join(directory, "blobs", "sha256"), { recursive: true });
  const lock = linux.openat(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY);
  linux.flock(lock, LOCK_EX);
  let open = true;
  const unlock = (): void => {
    if (open) linux.close(lock);
    open = false;
  };
  return {
    file(path, bytes) {
      const output = openOutput(linux, join(directory, path));
      try {
        output.write(bytes);
        output.finish();
      } finally {
        output.abort();
      }
    },
    earlier(path) {
      try {
        return readFileSync(join(directory, path));
      } catch (error) {
        if (isErrno(error, "ENOENT")) return undefined;
        throw error;
      }
    },
    async blob(source) {
      const { known } = source;
      if (known !== undefined && statSync(place(known.digest), { throwIfNoEntry: false })?.size === known.size) return;
      const output = openOutput(linux, join(directory, "blobs", "sha256", "new"));
      try {
        for await (const chunk of await piecesOf(source)) output.write(chunk);
        output.finish(place((await source.described()).digest));
      } finally {
        output.abort();
      }
    },
    finish: unlock,
    abort: unlock,
  };

  function place(digest: `sha256:${string}`): string {
    return join(directory, blobPath(digest));
  }
}

function linuxNames(linux: Linux, directory: string): string[] {
  const fd = linux.openat(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY);
  try {
    return linux.readdir(fd).map(({ name }) => name);
  } finally {
    linux.close(fd);
  }
}
