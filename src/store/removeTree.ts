import type { DirEntry, Linux } from "../linux/Linux.ts";
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, S_IFDIR, S_IFMT } from "../linux/constants.ts";
import { isErrno } from "../linux/LinuxError.ts";

/**
 * Removes `path` and all below it, links not followed, names of any bytes. Idempotent, and safe against others that remove the same.
 * It opens up directories that forbid their owner to enter (overlayfs's own work/work is one).
 */
export function removeTree(linux: Linux, path: string): void {
  removeAt(linux, AT_FDCWD, path);
}

/** The same of `name` in the open directory. */
export function removeAt(linux: Linux, dirfd: number, name: string): void {
  const stat = linux.statatOrUndefined(dirfd, name);
  if (stat === undefined) return;
  if ((stat.mode & S_IFMT) !== S_IFDIR) {
    unlink(linux, dirfd, name, false);
    return;
  }
  const fd = openDirectory(linux, dirfd, name);
  if (fd === undefined) return;
  try {
    for (const entry of entriesOf(linux, fd)) {
      if (entry.type === S_IFDIR || entry.type === 0) removeAt(linux, fd, entry.name);
      else unlink(linux, fd, entry.name, false);
    }
  } finally {
    linux.close(fd);
  }
  unlink(linux, dirfd, name, true);
}

/** None in one that another has removed since we opened it. */
function entriesOf(linux: Linux, fd: number): DirEntry[] {
  try {
    return linux.readdir(fd);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return [];
    throw error;
  }
}

function openDirectory(linux: Linux, dirfd: number, name: string): number | undefined {
  const flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  try {
    return linux.openat(dirfd, name, flags);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    if (!isErrno(error, "EACCES")) throw error;
    try {
      linux.fchmodat(dirfd, name, 0o700);
      return linux.openat(dirfd, name, flags);
    } catch (again) {
      if (isErrno(again, "ENOENT")) return undefined;
      throw again;
    }
  }
}

function unlink(linux: Linux, dirfd: number, name: string, directory: boolean): void {
  try {
    linux.unlinkat(dirfd, name, directory);
  } catch (error) {
    if (!isErrno(error, "ENOENT")) throw error;
  }
}
