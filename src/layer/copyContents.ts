import { SEEK_CUR, SEEK_DATA, SEEK_END, SEEK_HOLE, SEEK_SET } from "../linux/constants.ts";
import type { Linux } from "../linux/Linux.ts";
import { isErrno } from "../linux/LinuxError.ts";

/** Holes of smaller files are not worth the calls that find them. */
const SPARSE_FROM = 64 * 1024;
const CHUNK = 256 * 1024;

/**
 * Copies `size` bytes (fewer where the file has become shorter) between two descriptors from where they stand: inside the kernel, and by reads and
 * writes where it cannot (between file systems, overlayfs and what lies below it included). `buffer` serves the latter. What is a hole
 * stays one, so that a file takes no more of the disk than it did: `to` has nothing yet where it is written.
 */
export function copyContents(linux: Linux, from: number, to: number, size: number, buffer?: Uint8Array): void {
  if (size < SPARSE_FROM) {
    copyRun(linux, from, to, size, buffer);
    return;
  }
  const start = linux.lseek(from, 0, SEEK_CUR);
  const shift = linux.lseek(to, 0, SEEK_CUR) - start;
  const end = start + size;
  for (let at = start; at < end; ) {
    const data = seek(linux, from, at, SEEK_DATA);
    if (data === "unknown") {
      linux.lseek(from, at, SEEK_SET);
      copyRun(linux, from, to, end - at, buffer);
      return;
    }
    if (data === "none" || data >= end) {
      const last = Math.min(end, linux.lseek(from, 0, SEEK_END));
      linux.lseek(from, last, SEEK_SET);
      linux.lseek(to, last + shift, SEEK_SET);
      if (last > at) linux.ftruncate(to, last + shift);
      return;
    }
    const hole = seek(linux, from, data, SEEK_HOLE);
    const stop = typeof hole === "number" ? Math.min(hole, end) : end;
    linux.lseek(from, data, SEEK_SET);
    linux.lseek(to, data + shift, SEEK_SET);
    if (!copyRun(linux, from, to, stop - data, buffer)) return;
    at = stop;
  }
}

/** False where the file ended before. */
function copyRun(linux: Linux, from: number, to: number, size: number, buffer?: Uint8Array): boolean {
  let left = size;
  try {
    while (left > 0) {
      const count = linux.copyFileRange(from, to, left);
      if (count === 0) return false;
      left -= count;
    }
    return true;
  } catch (error) {
    // The offsets have not moved past what was copied: plain reads go on from there.
    if (!isErrno(error, "EXDEV", "EINVAL", "EOPNOTSUPP", "ENOSYS")) throw error;
  }
  const chunk = buffer ?? new Uint8Array(Math.min(left, CHUNK));
  while (left > 0) {
    const count = linux.read(from, left < chunk.length ? chunk.subarray(0, left) : chunk);
    if (count === 0) return false;
    linux.write(to, chunk.subarray(0, count));
    left -= count;
  }
  return true;
}

/** `none`: no data after `offset`. `unknown`: the file system does not say. */
function seek(linux: Linux, fd: number, offset: number, whence: number): number | "none" | "unknown" {
  try {
    return linux.lseek(fd, offset, whence);
  } catch (error) {
    if (isErrno(error, "ENXIO")) return "none";
    if (isErrno(error, "EINVAL", "EOPNOTSUPP", "ESPIPE")) return "unknown";
    throw error;
  }
}
