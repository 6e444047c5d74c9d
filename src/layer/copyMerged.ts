import { AT_FDCWD, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, S_IFDIR, S_IFMT } from "../linux/constants.ts";
import type { Linux, Stat } from "../linux/Linux.ts";
import { isErrno } from "../linux/LinuxError.ts";
import { copyAttributes, copyEntry } from "./copyEntry.ts";
import { isOpaque, isOverlayAttribute, isWhiteout } from "./overlayForm.ts";
import { ownerFailure } from "./unmappedOwner.ts";

/** A file of a plain tree as it was put there: what it is told by later. */
export interface PreparedFile {
  /** Of the copy. */
  stat: Stat;
  /** Which directory of the stack has it, counted from the lowest. */
  layer: number;
  /** Of a directory. */
  children?: Map<string, PreparedFile>;
}

/** A directory of one layer that is part of a merged one. */
interface Source {
  fd: number;
  layer: number;
}

/** What is seen under one name. */
interface Seen {
  stat: Stat;
  layer: number;
  from: number;
  /** Of a directory: all that are merged in it, the topmost first. */
  sources: Source[];
  /** Nothing of a lower layer shows through. */
  closed: boolean;
}

const DIRECTORY = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

/** What a copy takes over of a file's attributes: all that is not the host's own. */
export function isCarried(attribute: string): boolean {
  return !isOverlayAttribute(attribute) && attribute !== "security.selinux";
}

/**
 * Copies what an overlay of the directories `stack` (lowest first, in a layer's form) shows into the empty directory `target`, without a mount:
 * whiteouts and opaque directories hide, owners, modes, times, attributes and holes are exact, hard links of one layer stay hard links. The root's
 * own mode and times are left alone. @throws SlipwayError `ID_NOT_MAPPED`, `DEVICE_REFUSED`
 */
export function copyMerged(linux: Linux, stack: readonly string[], target: number): PreparedFile {
  /** Layer and inode → the first copy of a file with several names. */
  const links = new Map<string, string>();

  function directory(sources: readonly Source[], to: number, path: string): Map<string, PreparedFile> {
    const children = new Map<string, PreparedFile>();
    for (const [name, seen] of merge(linux, sources)) {
      const here = path === "" ? name : `${path}/${name}`;
      const { layer } = seen;
      if (seen.sources.length > 0) {
        const below = subdirectory(seen, to, name, here);
        children.set(name, { stat: linux.statat(to, name), layer, children: below });
      } else {
        place(seen, to, name, here);
        children.set(name, { stat: linux.statat(to, name), layer });
      }
    }
    return children;
  }

  function subdirectory(seen: Seen, to: number, name: string, path: string): Map<string, PreparedFile> {
    linux.mkdirat(to, name, 0o700);
    const opened: Source[] = [];
    const made = linux.openat(to, name, DIRECTORY);
    try {
      for (const { fd, layer } of seen.sources) opened.push({ layer, fd: linux.openat(fd, name, DIRECTORY) });
      const children = directory(opened, made, path);
      copyAttributes(linux, (opened[0] as Source).fd, made, seen.stat, isCarried);
      return children;
    } finally {
      for (const { fd } of opened) linux.close(fd);
      linux.close(made);
    }
  }

  function place({ stat, layer, from }: Seen, to: number, name: string, path: string): void {
    if (stat.nlink > 1) {
      const key = `${layer}:${stat.ino}`;
      const first = links.get(key);
      if (first !== undefined && linked(linux, target, first, to, name)) return;
      links.set(key, path);
    }
    copyEntry(linux, { from, to, name, stat, isCopied: isCarried });
  }

  const roots: Source[] = [];
  try {
    for (const [layer, path] of stack.entries())
      roots.unshift({ layer, fd: linux.openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY) });
    const children = directory(roots, target, "");
    return { children, stat: linux.statat(target, ""), layer: stack.length - 1 };
  } catch (error) {
    throw ownerFailure(error);
  } finally {
    for (const { fd } of roots) linux.close(fd);
  }
}

/** By name what the directories, topmost first, show together. */
function merge(linux: Linux, sources: readonly Source[]): Map<string, Seen> {
  const all = new Map<string, Seen | undefined>();
  for (const [i, source] of sources.entries()) {
    const isLowest = i === sources.length - 1;
    for (const { name, stat } of linux.readdirStats(source.fd)) {
      const known = all.get(name);
      if (known === undefined ? all.has(name) : known.closed) continue;
      const isDirectory = (stat.mode & S_IFMT) === S_IFDIR;
      if (known !== undefined) {
        if (isDirectory) known.sources.push(source);
        known.closed = !isDirectory || (!isLowest && isOpaque(linux, source.fd, name));
        continue;
      }
      if (isWhiteout(stat)) {
        all.set(name, undefined);
        continue;
      }
      all.set(name, {
        stat,
        layer: source.layer,
        from: source.fd,
        sources: isDirectory ? [source] : [],
        closed: !isDirectory || (!isLowest && isOpaque(linux, source.fd, name)),
      });
    }
  }
  for (const [name, seen] of all) if (seen === undefined) all.delete(name);
  return all as Map<string, Seen>;
}

/** False where the path is longer than the kernel takes, or the file has as many names as it can have. */
function linked(linux: Linux, root: number, path: string, to: number, name: string): boolean {
  try {
    linux.linkat(root, path, to, name);
    return true;
  } catch (error) {
    if (isErrno(error, "ENAMETOOLONG", "EMLINK")) return false;
    throw error;
  }
}
