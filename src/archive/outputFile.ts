import { statSync, unlinkSync, writeSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { AT_FDCWD, O_CREAT, O_EXCL, O_RDWR, O_TMPFILE, O_WRONLY, SEEK_SET } from "../linux/constants.ts";
import type { Linux } from "../linux/Linux.ts";
import { isErrno, LinuxError } from "../linux/LinuxError.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";

/** Where an archive is written. Bytes go to the end, in order. */
export interface Output {
  write(bytes: Uint8Array): void;
  /** Whether what was written can be changed: a file can, a pipe cannot. */
  readonly seekable: boolean;
  /** Replaces bytes that were written before. Only where `seekable`. */
  patch(offset: number, bytes: Uint8Array): void;
  /** Bytes so far. */
  readonly size: number;
  /** Puts the file in its place, or under another name of the same directory. */
  finish(path?: string): void;
  /** Leaves nothing behind. Nothing after `finish`. */
  abort(): void;
}

/**
 * A file that has its name only when it is whole: what stood there before stays until then, and nothing is left of one that was not finished,
 * even by a process that is killed, where the file system knows files without a name. "-" is standard output; what is no regular file (a
 * device, a pipe) is written to as it is.
 * @throws SlipwayError `INVALID_OUTPUT`
 */
export function openOutput(linux: Linux, path: string): Output {
  if (path === "-") return plain(linux, 1, false);
  const file = resolve(path);
  const found = statSync(file, { throwIfNoEntry: false });
  if (found?.isDirectory() === true) throw failure(path, "it is a directory");
  try {
    if (found !== undefined && !found.isFile()) return plain(linux, linux.openat(AT_FDCWD, file, O_WRONLY), true);
    return aside(linux, file);
  } catch (error) {
    throw error instanceof LinuxError ? failure(path, error.message, error) : error;
  }
}

function aside(linux: Linux, file: string): Output {
  const folder = dirname(file);
  const temporary = join(folder, `.${basename(file).slice(0, 100)}.${crypto.randomUUID().slice(0, 8)}`);
  let named = false;
  let fd: number;
  try {
    fd = linux.openat(AT_FDCWD, folder, O_RDWR | O_TMPFILE, 0o666);
  } catch (error) {
    if (!isErrno(error, "EOPNOTSUPP", "EISDIR", "ENOSYS", "EINVAL")) throw error;
    fd = linux.openat(AT_FDCWD, temporary, O_RDWR | O_CREAT | O_EXCL, 0o666);
    named = true;
  }
  let size = 0;
  let open = true;
  return {
    seekable: true,
    get size() {
      return size;
    },
    write(bytes) {
      linux.write(fd, bytes);
      size += bytes.length;
    },
    patch(offset, bytes) {
      linux.lseek(fd, offset, SEEK_SET);
      linux.write(fd, bytes);
      linux.lseek(fd, size, SEEK_SET);
    },
    finish(path = file) {
      // link(2) replaces nothing: the name comes in two steps.
      if (!named) linux.linkat(AT_FDCWD, `/proc/self/fd/${fd}`, AT_FDCWD, temporary, true);
      named = true;
      linux.renameat2(AT_FDCWD, temporary, AT_FDCWD, path);
      named = false;
      linux.close(fd);
      open = false;
    },
    abort() {
      if (!open) return;
      open = false;
      if (named) unlinkSync(temporary);
      linux.close(fd);
    },
  };
}

function plain(linux: Linux, fd: number, owned: boolean): Output {
  let size = 0;
  let open = owned;
  const close = (): void => {
    if (open) linux.close(fd);
    open = false;
  };
  return {
    seekable: false,
    get size() {
      return size;
    },
    write(bytes) {
      writeAll(fd, bytes);
      size += bytes.length;
    },
    patch() {
      throw new Error("a stream cannot be changed");
    },
    finish: () => close(),
    abort: close,
  };
}

/** A pipe that is set to non-blocking by its other end is waited for. */
function writeAll(fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(fd, bytes, at);
    } catch (error) {
      if (!isErrno(error, "EAGAIN")) throw error;
      Bun.sleepSync(1);
    }
  }
}

function failure(path: string, why: string, cause?: unknown): SlipwayError {
  return new SlipwayError("INVALID_OUTPUT", `${path} cannot be written: ${why}`, { cause });
}
