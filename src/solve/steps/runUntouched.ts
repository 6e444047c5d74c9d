import { O_DIRECTORY, O_NOFOLLOW, O_RDONLY, RESOLVE_NO_SYMLINKS, S_IFDIR } from "../../linux/constants.ts";
import type { Linux, Stat } from "../../linux/Linux.ts";
import { isErrno } from "../../linux/LinuxError.ts";
import { isPrivateAttribute, opaqueAttribute } from "../../layer/overlayForm.ts";

/**
 * Takes out of an overlay's upper directory the directories in which nothing is changed in the end: what was made in them is gone again,
 * and their mode, owner and attributes are those that they have below. So a step that leaves all as it was has an empty layer (BuildKit).
 * `lower` opens a view of the layers below, at most once, and gives it away to be closed. The overlay must not be mounted any more.
 */
export function dropUntouched(linux: Linux, upperFd: number, lower: () => number): void {
  let lowerFd: number | undefined;

  /** True where nothing is left in it. */
  function prune(fd: number, path: string): boolean {
    let left = 0;
    const before = linux.statat(fd, "");
    let removed = false;
    for (const { name, type } of linux.readdir(fd)) {
      left++;
      if (type !== S_IFDIR) continue;
      const child = linux.openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      const childPath = path === "" ? name : `${path}/${name}`;
      try {
        if (!prune(child, childPath) || !sameBelow(child, childPath)) continue;
      } finally {
        linux.close(child);
      }
      linux.unlinkat(fd, name, true);
      removed = true;
      left--;
    }
    if (removed) linux.utimensat(fd, "", { sec: before.mtimeSec, nsec: before.mtimeNsec });
    return left === 0;
  }

  function sameBelow(fd: number, path: string): boolean {
    if (linux.getxattr(fd, "", opaqueAttribute(linux)) !== undefined) return false;
    lowerFd ??= lower();
    let below: number;
    try {
      below = linux.openat2(lowerFd, path, { flags: O_RDONLY | O_DIRECTORY, resolve: RESOLVE_NO_SYMLINKS });
    } catch (error) {
      if (isErrno(error, "ENOENT", "ENOTDIR", "ELOOP")) return false;
      throw error;
    }
    try {
      return sameOwn(linux.statat(fd, ""), linux.statat(below, "")) && attributes(fd) === attributes(below);
    } finally {
      linux.close(below);
    }
  }

  function attributes(fd: number): string {
    return linux
      .xattrs(fd, "")
      .filter(([name]) => !isPrivateAttribute(name))
      .map(([name, value]) => `${name}=${Buffer.from(value).toString("hex")}`)
      .sort()
      .join();
  }

  try {
    prune(upperFd, "");
  } finally {
    if (lowerFd !== undefined) linux.close(lowerFd);
  }
}

function sameOwn(a: Stat, b: Stat): boolean {
  return a.mode === b.mode && a.uid === b.uid && a.gid === b.gid;
}
