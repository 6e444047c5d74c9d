import { copyAttributes } from "../../layer/copyEntry.ts";
import { copyContents } from "../../layer/copyContents.ts";
import { copyMerged, isCarried } from "../../layer/copyMerged.ts";
import {
  AT_FDCWD,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_RDONLY,
  O_WRONLY,
  S_IFDIR,
  S_IFMT,
  S_IFSOCK,
} from "../../linux/constants.ts";
import type { Linux } from "../../linux/Linux.ts";

/**
 * Puts a copy of the file or directory `source` under `name` into the open directory `parent`: owners, modes, times and attributes are the same. A
 * socket gets a second name instead, by which programs reach who listens on the first.
 */
export function copyIn(linux: Linux, source: string, parent: number, name: string): void {
  const stat = linux.statat(AT_FDCWD, source);
  const type = stat.mode & S_IFMT;
  if (type === S_IFSOCK) {
    linux.linkat(AT_FDCWD, source, parent, name);
    return;
  }
  const isDirectory = type === S_IFDIR;
  if (isDirectory) linux.mkdirat(parent, name, 0o700);
  const from = linux.openat(AT_FDCWD, source, isDirectory ? O_RDONLY | O_DIRECTORY : O_RDONLY);
  const to = linux.openat(parent, name, isDirectory ? O_RDONLY | O_DIRECTORY : O_WRONLY | O_CREAT | O_EXCL, 0o600);
  try {
    if (isDirectory) copyMerged(linux, to, { stack: [source] });
    else if (stat.size > 0 && !linux.reflink(from, to)) copyContents(linux, from, to, stat.size);
    copyAttributes(linux, from, to, stat, isCarried);
  } finally {
    linux.close(from);
    linux.close(to);
  }
}
