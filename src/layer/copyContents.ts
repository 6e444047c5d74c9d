import type { Linux } from "../linux/Linux.ts";
import { isErrno } from "../linux/LinuxError.ts";

/**
 * Copies `size` bytes (fewer where the file has become shorter) between two descriptors from where they stand: inside the kernel, and by reads and
 * writes where it cannot (between file systems, overlayfs and what lies below it included). `buffer` serves the latter.
 */
export function copyContents(linux: Linux, from: number, to: number, size: number, buffer?: Uint8Array): void {
  try {
    for (let left = size; left > 0; ) {
      const count = linux.copyFileRange(from, to, left);
      if (count === 0) return;
      left -= count;
    }
    return;
  } catch (error) {
    // The offsets have not moved past what was copied: plain reads go on from there.
    if (!isErrno(error, "EXDEV", "EINVAL", "EOPNOTSUPP", "ENOSYS")) throw error;
  }
  const chunk = buffer ?? new Uint8Array(Math.min(size, 256 * 1024));
  for (let count = linux.read(from, chunk); count > 0; count = linux.read(from, chunk)) {
    linux.write(to, chunk.subarray(0, count));
  }
}
