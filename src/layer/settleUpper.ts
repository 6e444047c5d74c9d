import { O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, S_IFCHR, S_IFDIR, S_IFMT } from "../linux/constants.ts";
import type { Linux, Stat } from "../linux/Linux.ts";
import { isErrno } from "../linux/LinuxError.ts";
import { isOpaque, isWhiteout, makeWhiteout, opaqueAttribute } from "./overlayForm.ts";
import { ownAttributes, sameFile, sameStat } from "./sameFile.ts";

const DIRECTORY = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
const FILE = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;

/**
 * Makes of an overlay's upper directory what a layer is (BuildKit's rule): what differs from below, however it came about. Files that were brought up
 * and are as they were go, and directories in which nothing is changed in the end; a directory that hides what is below says instead which names are
 * gone, and one that has nothing to hide says nothing; a whiteout of nothing goes. So a step that leaves all as it was has an empty layer, and all
 * storages give the same one.
 *
 * `lower` opens a view of the layers below, at most once; whoever gave it closes it. The overlay must not be mounted any more.
 */
export function settleUpper(linux: Linux, upperFd: number, lower: () => number): void {
  const found = linux.readdirStats(upperFd);
  if (found.length > 0) settle(upperFd, linux.openat(lower(), ".", DIRECTORY), found);

  /** Takes `below` over. True where nothing is left in the directory. */
  function settle(fd: number, below: number, entries = linux.readdirStats(fd)): boolean {
    try {
      const { mtimeSec, mtimeNsec } = linux.statat(fd, "");
      let left = entries.length;
      let touched = false;
      for (const { name, stat } of entries) {
        const then = linux.statatOrUndefined(below, name);
        if (!isSettled(fd, below, name, stat, then)) continue;
        linux.unlinkat(fd, name, (stat.mode & S_IFMT) === S_IFDIR);
        touched = true;
        left--;
      }
      if (touched) linux.utimensat(fd, "", { sec: mtimeSec, nsec: mtimeNsec });
      return left === 0;
    } finally {
      linux.close(below);
    }
  }

  /** Whether the entry says nothing, so that it can go. */
  function isSettled(fd: number, below: number, name: string, stat: Stat, then: Stat | undefined): boolean {
    if (isWhiteout(stat)) return then === undefined;
    const isDirectory = (stat.mode & S_IFMT) === S_IFDIR;
    if (isDirectory && (then === undefined || (then.mode & S_IFMT) !== S_IFDIR)) {
      const child = linux.openat(fd, name, DIRECTORY);
      try {
        unmark(child);
      } finally {
        linux.close(child);
      }
      return false;
    }
    if (then === undefined) return false;
    if (isDirectory) return isSettledDirectory(fd, below, name, stat, then);
    if (!sameStat(stat, then)) return false;
    const look = (directory: number, own: Stat) => ({
      stat: own,
      readlink: () => linux.readlinkat(directory, name),
      open: () => linux.openat(directory, name, FILE),
    });
    return sameFile(linux, look(fd, stat), look(below, then));
  }

  function isSettledDirectory(fd: number, below: number, name: string, stat: Stat, then: Stat): boolean {
    const child = linux.openat(fd, name, DIRECTORY);
    try {
      const old = linux.openat(below, name, DIRECTORY);
      const same = sameStat(stat, then) && ownAttributes(linux, child) === ownAttributes(linux, old);
      if (isOpaque(linux, child, "")) hideEach(child, old, stat);
      return settle(child, old) && same;
    } finally {
      linux.close(child);
    }
  }

  /** Puts whiteouts in place of the mark. */
  function hideEach(fd: number, below: number, { mtimeSec, mtimeNsec }: Stat): void {
    const own = new Set(linux.readdir(fd).map(({ name }) => name));
    for (const { name } of linux.readdir(below)) if (!own.has(name)) makeWhiteout(linux, fd, name);
    linux.removexattr(fd, "", opaqueAttribute(linux));
    linux.utimensat(fd, "", { sec: mtimeSec, nsec: mtimeNsec });
  }

  /** Of a directory that is new, and of all in it. overlayfs marks what it makes for its own ease, and leaves whiteouts of what was new itself. */
  function unmark(fd: number): void {
    if (linux.getxattr(fd, "", opaqueAttribute(linux)) !== undefined) linux.removexattr(fd, "", opaqueAttribute(linux));
    for (const { name, type } of linux.readdir(fd)) {
      if (type === S_IFCHR) dropWhiteout(fd, name);
      if (type !== S_IFDIR) continue;
      const child = linux.openat(fd, name, DIRECTORY);
      try {
        unmark(child);
      } finally {
        linux.close(child);
      }
    }
  }

  function dropWhiteout(fd: number, name: string): void {
    const stat = linux.statatOrUndefined(fd, name);
    if (stat === undefined || !isWhiteout(stat)) return;
    const { mtimeSec, mtimeNsec } = linux.statat(fd, "");
    try {
      linux.unlinkat(fd, name);
    } catch (error) {
      if (!isErrno(error, "ENOENT")) throw error;
    }
    linux.utimensat(fd, "", { sec: mtimeSec, nsec: mtimeNsec });
  }
}
