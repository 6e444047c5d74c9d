import type { Linux, Stat } from "../linux/Linux.ts";
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, S_IFDIR, S_IFMT } from "../linux/constants.ts";
import { isErrno } from "../linux/LinuxError.ts";

const BLOCK = 512;

/**
 * Bytes that `path` and all below it take on the disk, as `du -x` counts: by blocks, so that holes are free, a file with several names once,
 * and nothing of what is mounted inside. 0 where nothing is there. What goes away meanwhile, or may not be entered, does not count.
 */
export function diskUsage(linux: Linux, path: string): number {
  const seen = new Set<string>();
  let bytes = 0;
  let device: number | undefined;

  function add(stat: Stat): void {
    if (stat.nlink > 1 && (stat.mode & S_IFMT) !== S_IFDIR) {
      const file = `${stat.dev} ${stat.ino}`;
      if (seen.has(file)) return;
      seen.add(file);
    }
    bytes += stat.blocks * BLOCK;
  }

  function visit(dirfd: number, name: string): void {
    const stat = linux.statatOrUndefined(dirfd, name);
    if (stat === undefined) return;
    device ??= stat.dev;
    if (stat.dev !== device) return;
    add(stat);
    if ((stat.mode & S_IFMT) !== S_IFDIR) return;
    let fd: number;
    try {
      fd = linux.openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    } catch (error) {
      if (!isErrno(error, "ENOENT", "EACCES", "ENOTDIR", "ELOOP")) throw error;
      return;
    }
    try {
      for (const entry of linux.readdir(fd)) visit(fd, entry.name);
    } finally {
      linux.close(fd);
    }
  }

  visit(AT_FDCWD, path);
  return bytes;
}

/** Of one file, or of a directory without what is in it. */
export function ownUsage(linux: Linux, path: string): number {
  return (linux.statatOrUndefined(AT_FDCWD, path)?.blocks ?? 0) * BLOCK;
}
