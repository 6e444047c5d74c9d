import {
  AT_FDCWD,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  S_IFDIR,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
} from "../linux/constants.ts";
import type { Linux, Stat } from "../linux/Linux.ts";
import { isErrno } from "../linux/LinuxError.ts";
import { copyAttributes, copyEntry } from "./copyEntry.ts";
import { isCarried, type PreparedFile } from "./copyMerged.ts";
import { isOverlayAttribute, isWhiteout, makeWhiteout } from "./overlayForm.ts";
import { ownAttributes, sameFile, sameStat } from "./sameFile.ts";

export interface ChangesOptions {
  /** The directories that the tree was made of, lowest first, as `copyMerged` had them. */
  stack: readonly string[];
  /** What `copyMerged` gave. */
  prepared: PreparedFile;
  /**
   * `move`: the tree's files become the layer's, and what it has lost or has too much is taken out of `prepared`, so that it can be made into another.
   * `prepared` keeps what is there as it was. `copy`: the tree is left as it is, and may go on changing meanwhile.
   * `hollow`: the same, without the bytes of files.
   */
  way: "move" | "copy" | "hollow";
  /** Takes out of `target` (a descriptor) what shall not be in the layer: directories that it leaves empty, and as they were, go with it. */
  amend?: (target: number) => void;
}

/** A clock of the kernel may stand still for so long (a tick of 100 Hz): what was changed meanwhile has no other time. */
const TICK_NS = 10_000_000;

const DIRECTORY = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

/**
 * Writes into the empty directory `target`, in a layer's form, what has become of the tree `root` since it was prepared: new and changed files, with
 * the directories that lead to them, and whiteouts. A file that is in all like the one that was put there is no change, however it came to be.
 */
export function writeChanges(linux: Linux, root: number, target: number, options: ChangesOptions): void {
  const { stack, prepared, way } = options;
  const links = new Map<number, string>();
  /** Files younger than this may have been changed without another time. */
  const sure = before(prepared.stat);

  /** `enter` makes the directory of the layer where it is not there. Whether there is a change. */
  function directory(fd: number, old: PreparedFile | undefined, enter: () => number, path: string): boolean {
    let changed = false;
    const left = new Set(old?.children?.keys());
    for (const { name, stat } of linux.readdirStats(fd)) {
      if (isWhiteout(stat)) continue; // made by hand: to overlayfs it is a file that is not there
      left.delete(name);
      const here = path === "" ? name : `${path}/${name}`;
      const was = old?.children?.get(name);
      if ((stat.mode & S_IFMT) === S_IFDIR) {
        if (child(fd, name, { stat, was: was?.children === undefined ? undefined : was, enter, path: here }))
          changed = true;
      } else if (was === undefined || isChanged(fd, name, stat, was, here)) {
        take(fd, enter(), name, stat, here);
        if (way === "move") old?.children?.delete(name);
        changed = true;
      }
    }
    for (const name of left) {
      makeWhiteout(linux, enter(), name);
      if (way === "move") old?.children?.delete(name);
      changed = true;
    }
    return changed;
  }

  function child(
    parent: number,
    name: string,
    { stat, was, enter, path }: { stat: Stat; was: PreparedFile | undefined; enter: () => number; path: string },
  ): boolean {
    const fd = opened(() => linux.openat(parent, name, DIRECTORY));
    if (fd === undefined) return false;
    let made: number | undefined;
    const enterOwn = (): number => {
      if (made !== undefined) return made;
      const folder = enter();
      linux.mkdirat(folder, name, 0o700);
      made = linux.openat(folder, name, DIRECTORY);
      return made;
    };
    try {
      if (was === undefined || isChangedDirectory(fd, stat, was, path)) enterOwn();
      directory(fd, was, enterOwn, path);
      if (was !== undefined && (made !== undefined || !isUntouched(stat, was))) was.stale = true;
      if (made !== undefined) copyAttributes(linux, fd, made, stat, isCarried);
      return made !== undefined;
    } finally {
      linux.close(fd);
      if (made !== undefined) linux.close(made);
    }
  }

  function isChangedDirectory(fd: number, stat: Stat, was: PreparedFile, path: string): boolean {
    if (isUntouched(stat, was)) return false;
    if (!sameStat(stat, was.stat)) return true;
    return (
      opened(() => withBelow(path, was, (below) => ownAttributes(linux, fd) === ownAttributes(linux, below))) !== true
    );
  }

  function isChanged(fd: number, name: string, stat: Stat, was: PreparedFile, path: string): boolean {
    if (was.children !== undefined) return true;
    if (isUntouched(stat, was)) return false;
    if (!sameStat(stat, was.stat)) return true; // the usual one, without a look at the file
    const flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;
    const below = placeOf(path, was);
    const now = { stat, readlink: () => linux.readlinkat(fd, name), open: () => linux.openat(fd, name, flags) };
    const then = {
      stat: was.stat,
      readlink: () => linux.readlinkat(AT_FDCWD, below),
      open: () => linux.openat(AT_FDCWD, below, flags),
    };
    // What cannot be looked at any more, or has too long a path, is a change: the layer then has more than it needs, and nothing wrong.
    const same = opened(() => sameFile(linux, now, then)) === true;
    if (same && way === "move") was.stat = stat; // as sure as before
    return !same;
  }

  function isUntouched(stat: Stat, { stat: then }: PreparedFile): boolean {
    return (
      stat.ino === then.ino &&
      stat.ctimeSec === then.ctimeSec &&
      stat.ctimeNsec === then.ctimeNsec &&
      stat.mode === then.mode &&
      (then.ctimeSec < sure.sec || (then.ctimeSec === sure.sec && then.ctimeNsec < sure.nsec))
    );
  }

  function placeOf(path: string, { layer }: PreparedFile): string {
    return `${stack[layer]}/${path}`;
  }

  function withBelow(path: string, was: PreparedFile, work: (fd: number) => boolean): boolean {
    const fd = linux.openat(AT_FDCWD, placeOf(path, was), DIRECTORY);
    try {
      return work(fd);
    } finally {
      linux.close(fd);
    }
  }

  function take(fd: number, to: number, name: string, stat: Stat, path: string): void {
    const type = stat.mode & S_IFMT;
    if (type === S_IFSOCK && way !== "move") return; // no layer has it
    if (stat.nlink > 1) {
      const first = links.get(stat.ino);
      if (first !== undefined && opened(() => linked(linux, target, first, { to, name })) === true) return;
      links.set(stat.ino, path);
    }
    // A file with other names is not given away: one of them may be no change, and stay.
    if (way === "move" && stat.nlink === 1) {
      linux.renameat2(fd, name, to, name);
      clean(to, name, type);
    } else if (type !== S_IFSOCK)
      opened(() =>
        copyEntry(linux, {
          from: fd,
          to,
          name,
          stat,
          isCopied: isCarried,
          ...(way === "hollow" ? { hollow: true } : {}),
        }),
      );
  }

  /** Marks of a layer's form that the step has put there itself. */
  function clean(to: number, name: string, type: number): void {
    if (type !== S_IFREG) return; // only regular files and directories have attributes that anybody may write
    for (const [key] of linux.xattrs(to, name)) if (isOverlayAttribute(key)) linux.removexattr(to, name, key);
  }

  const now = linux.statat(root, "");
  directory(root, prepared, () => target, "");
  copyAttributes(linux, root, target, now, isCarried);
  if (options.amend === undefined) return;
  options.amend(target);
  prune(target, prepared, "");

  /** True where nothing is left in it. */
  function prune(fd: number, old: PreparedFile | undefined, path: string): boolean {
    const entries = linux.readdirStats(fd);
    const { mtimeSec, mtimeNsec } = linux.statat(fd, "");
    let left = entries.length;
    for (const { name, stat } of entries) {
      const was = old?.children?.get(name);
      if (was?.children === undefined || (stat.mode & S_IFMT) !== S_IFDIR) continue;
      const here = path === "" ? name : `${path}/${name}`;
      const child = linux.openat(fd, name, DIRECTORY);
      try {
        if (!prune(child, was, here) || isChangedDirectory(child, stat, was, here)) continue;
      } finally {
        linux.close(child);
      }
      linux.unlinkat(fd, name, true);
      left--;
    }
    if (left < entries.length) linux.utimensat(fd, "", { sec: mtimeSec, nsec: mtimeNsec });
    return left === 0;
  }
}

/** Undefined where the file has gone, or become another, meanwhile. */
function opened<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR", "ELOOP", "ENAMETOOLONG", "EMLINK")) return undefined;
    throw error;
  }
}

function linked(linux: Linux, root: number, path: string, { to, name }: { to: number; name: string }): true {
  linux.linkat(root, path, to, name);
  return true;
}

/** A tick before the last that was done to the tree. */
function before({ ctimeSec, ctimeNsec }: Stat): { sec: number; nsec: number } {
  return ctimeNsec >= TICK_NS
    ? { sec: ctimeSec, nsec: ctimeNsec - TICK_NS }
    : { sec: ctimeSec - 1, nsec: ctimeNsec + 1_000_000_000 - TICK_NS };
}
