import type { Linux } from "../linux/Linux.ts";
import { AT_FDCWD, O_CLOEXEC, O_RDONLY } from "../linux/constants.ts";

/** Makes a file, or the entries of a directory, outlive a loss of power. */
export function syncPath(linux: Linux, path: string): void {
  const fd = linux.openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
  try {
    linux.fsync(fd);
  } finally {
    linux.close(fd);
  }
}
