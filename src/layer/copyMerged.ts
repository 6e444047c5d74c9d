import { AT_FDCWD, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, S_IFDIR, S_IFMT } from "../linux/constants.ts";
import type { Linux, Stat } from "../linux/Linux.ts";
import { isErrno } from "../linux/LinuxError.ts";
import { copyAttributes, copyEntry } from "./copyEntry.ts";
import { isOpaque, isOverlayAttribute, isWhiteout } from "./overlayForm.ts";
import { removeEntry } from "./removeEntry.ts";
import { ownerFailure } from "./unmappedOwner.ts";

/** A file of a plain tree as it was put there: what it is told by later. */
export interface PreparedFile {
  /** Of the copy. */
  stat: Stat;
  /** Which directory of the stack has it, counted from the lowest. */
  layer: number;
  /** Of a directory. */
  children?: Map<string, PreparedFile>;
  /** Of a directory: its owner, mode, attributes or time are not what they were. */
  stale?: true;
}

export interface MergedCopy {
  /** Directories in a layer's form, lowest first. */
  stack: readonly string[];
  /** What the target has already: of that only what differs is copied. Files that it does not name, and are there, go. */
  old?: { stack: readonly string[]; prepared: PreparedFile };
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

/** Where something is to be put. */
interface Place {
  to: number;
  name: string;
  /** From the root of the target. */
  path: string;
  /** Something of that name is there already. */
  taken: boolean;
  /** And is known. */
  was: PreparedFile | undefined;
}

const DIRECTORY = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

/** What a copy takes over of a file's attributes: all that is not the host's own. */
export function isCarried(attribute: string): boolean {
  return !isOverlayAttribute(attribute) && attribute !== "security.selinux";
}

/**
 * Copies what an overlay of the stack shows into the directory `target`, without a mount: whiteouts and opaque directories hide, owners, modes, times,
 * attributes and holes are exact, hard links of one layer stay hard links. The root's own mode and times are left alone.
 * @throws SlipwayError `ID_NOT_MAPPED`, `DEVICE_REFUSED`
 */
export function copyMerged(linux: Linux, target: number, { stack, old }: MergedCopy): PreparedFile {
  /** Layer and inode → the first copy of a file with several names. */
  const links = new Map<string, string>();

  function directory(
    sources: readonly Source[],
    to: number,
    path: string,
    had: PreparedFile | undefined,
  ): { children: Map<string, PreparedFile>; touched: boolean } {
    const children = new Map<string, PreparedFile>();
    const merged = merge(linux, sources);
    const there = old === undefined ? [] : linux.readdir(to).map(({ name }) => name);
    const taken = new Set(there);
    let touched = false;
    for (const name of there) {
      if (merged.has(name)) continue;
      remove(to, name);
      touched = true;
    }
    for (const [name, seen] of merged) {
      const place: Place = {
        to,
        name,
        path: path === "" ? name : `${path}/${name}`,
        taken: taken.has(name),
        was: taken.has(name) ? had?.children?.get(name) : undefined,
      };
      const kept = seen.sources.length > 0 ? folder(seen, place) : file(seen, place);
      children.set(name, kept.file);
      touched ||= kept.touched;
    }
    return { children, touched };
  }

  /** `touched`: the directory that it lies in has another time now. */
  function file(seen: Seen, { to, name, path, taken, was }: Place): { file: PreparedFile; touched: boolean } {
    const { layer } = seen;
    // One of several names is put there again, as the others may be new.
    if (was !== undefined && was.children === undefined && isFrom(was, layer) && seen.stat.nlink === 1)
      return { file: { stat: was.stat, layer }, touched: false };
    if (taken) remove(to, name);
    put(seen, to, name, path);
    return { file: { stat: linux.statat(to, name), layer }, touched: true };
  }

  function put({ stat, layer, from }: Seen, to: number, name: string, path: string): void {
    if (stat.nlink > 1) {
      const key = `${layer}:${stat.ino}`;
      const first = links.get(key);
      if (first !== undefined && linked(linux, target, first, to, name)) return;
      links.set(key, path);
    }
    copyEntry(linux, { from, to, name, stat, isCopied: isCarried });
  }

  function folder(seen: Seen, { to, name, path, taken, was }: Place): { file: PreparedFile; touched: boolean } {
    const { layer } = seen;
    const before = was?.children === undefined ? undefined : was;
    const touched = before === undefined;
    if (touched && taken) remove(to, name);
    if (touched) linux.mkdirat(to, name, 0o700);
    const opened: Source[] = [];
    const made = linux.openat(to, name, DIRECTORY);
    try {
      for (const source of seen.sources)
        opened.push({ layer: source.layer, fd: linux.openat(source.fd, name, DIRECTORY) });
      const inside = directory(opened, made, path, before);
      if (before === undefined || before.stale === true || inside.touched || !isFrom(before, layer)) {
        if (before !== undefined) dropAttributes(linux, made);
        copyAttributes(linux, (opened[0] as Source).fd, made, seen.stat, isCarried);
      }
      return { file: { stat: linux.statat(made, ""), layer, children: inside.children }, touched };
    } finally {
      for (const { fd } of opened) linux.close(fd);
      linux.close(made);
    }
  }

  /** Whether what is there came from that layer. */
  function isFrom(was: PreparedFile, layer: number): boolean {
    return old?.stack[was.layer] === stack[layer];
  }

  function remove(parent: number, name: string): void {
    removeEntry(linux, parent, name, linux.statat(parent, name));
  }

  const roots: Source[] = [];
  try {
    for (const [layer, path] of stack.entries())
      roots.unshift({ layer, fd: linux.openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY) });
    const { children } = directory(roots, target, "", old?.prepared);
    return { children, stat: linux.statat(target, ""), layer: stack.length - 1 };
  } catch (error) {
    throw ownerFailure(error);
  } finally {
    for (const { fd } of roots) linux.close(fd);
  }
}

function dropAttributes(linux: Linux, directory: number): void {
  for (const [name] of linux.xattrs(directory, "")) if (isCarried(name)) linux.removexattr(directory, "", name);
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
