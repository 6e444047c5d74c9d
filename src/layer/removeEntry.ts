import { O_DIRECTORY, O_NOFOLLOW, O_RDONLY, S_IFDIR, S_IFMT, S_IFREG } from "../linux/constants.ts";
import type { Linux, Stat } from "../linux/Linux.ts";

/** Removes the file or the whole directory `name`, which is `stat`; the bytes of the files that are gone with it, hard links once. */
export function removeEntry(linux: Linux, parent: number, name: string, stat: Stat): number {
  const type = stat.mode & S_IFMT;
  if (type !== S_IFDIR) {
    linux.unlinkat(parent, name);
    return type === S_IFREG && stat.nlink === 1 ? stat.size : 0;
  }
  let bytes = 0;
  const fd = linux.openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  try {
    for (const entry of linux.readdir(fd)) bytes += removeEntry(linux, fd, entry.name, linux.statat(fd, entry.name));
  } finally {
    linux.close(fd);
  }
  linux.unlinkat(parent, name, true);
  return bytes;
}
