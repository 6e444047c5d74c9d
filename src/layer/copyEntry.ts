import {
  O_CREAT,
  O_EXCL,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  O_WRONLY,
  S_IFBLK,
  S_IFCHR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
} from "../linux/constants.ts";
import type { Linux, Stat } from "../linux/Linux.ts";
import { isErrno } from "../linux/LinuxError.ts";
import { copyContents } from "./copyContents.ts";
import { refusedDevice } from "./unpackFailure.ts";

export interface EntryCopy {
  from: number;
  to: number;
  /** In both directories. */
  name: string;
  /** Of the source. */
  stat: Stat;
  isCopied: (attribute: string) => boolean;
  /** A regular file gets its size and nothing in it. */
  hollow?: boolean;
}

/**
 * Copies what is no directory, with all that belongs to it: the bytes by reflink where the file system has it, holes kept; owner, mode, attributes,
 * time. @throws SlipwayError `DEVICE_REFUSED`
 */
export function copyEntry(linux: Linux, { from, to, name, stat, isCopied, hollow = false }: EntryCopy): void {
  const type = stat.mode & S_IFMT;
  if (type === S_IFREG) {
    const input = linux.openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    try {
      const output = linux.openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
      try {
        if (hollow) linux.ftruncate(output, stat.size);
        else if (stat.size > 0 && !linux.reflink(input, output)) copyContents(linux, input, output, stat.size);
        copyAttributes(linux, input, output, stat, isCopied);
      } finally {
        linux.close(output);
      }
    } finally {
      linux.close(input);
    }
    return;
  }
  if (type === S_IFLNK) linux.symlinkat(linux.readlinkat(from, name), to, name);
  else makeNode(linux, to, name, stat);
  linux.fchownat(to, name, stat.uid, stat.gid);
  if (type !== S_IFLNK) linux.fchmodat(to, name, stat.mode & 0o7777);
  for (const [key, value] of linux.xattrs(from, name)) if (isCopied(key)) linux.setxattr(to, name, key, value);
  linux.utimensat(to, name, { sec: stat.mtimeSec, nsec: stat.mtimeNsec });
}

/** Gives the open file or directory `to` what `from` has, whose stat is `stat`. The mode comes after the owner, which takes setuid away; the time comes last. */
export function copyAttributes(
  linux: Linux,
  from: number,
  to: number,
  stat: Stat,
  isCopied: (attribute: string) => boolean,
): void {
  linux.fchownat(to, "", stat.uid, stat.gid);
  linux.fchmod(to, stat.mode & 0o7777);
  for (const [key, value] of linux.xattrs(from, "")) if (isCopied(key)) linux.setxattr(to, "", key, value);
  linux.utimensat(to, "", { sec: stat.mtimeSec, nsec: stat.mtimeNsec });
}

function makeNode(linux: Linux, to: number, name: string, stat: Stat): void {
  try {
    linux.mknodat(to, name, stat.mode, stat.rdevMajor, stat.rdevMinor);
  } catch (error) {
    const type = stat.mode & S_IFMT;
    if ((type === S_IFCHR || type === S_IFBLK) && isErrno(error, "EPERM"))
      throw refusedDevice(`the image's file ${JSON.stringify(name)}`, error);
    throw error;
  }
}
