import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from "../linux/constants.ts";
import type { Linux, Stat } from "../linux/Linux.ts";
import { isPrivateAttribute } from "./overlayForm.ts";

/** A file that is looked at, however it is reached. */
export interface LookedAt {
  stat: Stat;
  /** Of a link. */
  readlink(): string;
  /** A descriptor of a regular file or directory, to be closed by the caller. */
  open(): number;
}

const BUFFER = 256 * 1024;

/**
 * Whether nothing of the file differs that a layer tells: then a layer has no entry for it (BuildKit). Type, mode, owner, device, attributes; times
 * of what is no directory, to the nanosecond; link target and bytes, where all else is the same.
 */
export function sameFile(linux: Linux, one: LookedAt, other: LookedAt): boolean {
  if (!sameStat(one.stat, other.stat)) return false;
  const type = one.stat.mode & S_IFMT;
  if (type === S_IFLNK) return one.readlink() === other.readlink();
  if (type !== S_IFREG && type !== S_IFDIR) return true;
  const a = one.open();
  try {
    const b = other.open();
    try {
      return ownAttributes(linux, a) === ownAttributes(linux, b) && (type === S_IFDIR || sameBytes(linux, a, b));
    } finally {
      linux.close(b);
    }
  } finally {
    linux.close(a);
  }
}

export function sameStat(a: Stat, b: Stat): boolean {
  if (a.mode !== b.mode || a.uid !== b.uid || a.gid !== b.gid) return false;
  if (a.rdevMajor !== b.rdevMajor || a.rdevMinor !== b.rdevMinor) return false;
  return (
    (a.mode & S_IFMT) === S_IFDIR || (a.size === b.size && a.mtimeSec === b.mtimeSec && a.mtimeNsec === b.mtimeNsec)
  );
}

/** What the open file has of attributes that belong to it, as a text to compare. */
export function ownAttributes(linux: Linux, fd: number): string {
  return linux
    .xattrs(fd, "")
    .filter(([name]) => !isPrivateAttribute(name))
    .map(([name, value]) => `${name}=${Buffer.from(value).toString("hex")}`)
    .join();
}

function sameBytes(linux: Linux, one: number, other: number): boolean {
  const [a, b] = [new Uint8Array(BUFFER), new Uint8Array(BUFFER)];
  for (;;) {
    const length = linux.read(one, a);
    for (let got = 0; got < length; ) {
      const more = linux.read(other, b.subarray(got, length));
      if (more === 0) return false;
      got += more;
    }
    if (length === 0) return linux.read(other, b) === 0;
    if (Buffer.compare(a.subarray(0, length), b.subarray(0, length)) !== 0) return false;
  }
}
