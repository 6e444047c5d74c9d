import { mkdirSync, renameSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { copyContents } from "../../../layer/copyContents.ts";
import { isPrivateAttribute } from "../../../layer/overlayForm.ts";
import {
  AT_FDCWD,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_RDONLY,
  O_WRONLY,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
} from "../../../linux/constants.ts";
import type { Linux, Stat, Timespec } from "../../../linux/Linux.ts";
import { isErrno } from "../../../linux/LinuxError.ts";
import { SlipwayError } from "../../../oci/SlipwayError.ts";
import { removeTree } from "../../../store/removeTree.ts";

export interface ExportTreeOptions {
  /** Seconds: the time of everything, whatever the file's is. */
  epoch?: number;
  /** `delete`: what the tree does not have goes. */
  mode: "copy" | "delete";
  signal: AbortSignal;
  /** Hears the bytes so far. */
  onProgress?: (bytes: number) => void;
}

/** Files between two looks at the signal. */
const TURN = 500;
const TURN_BYTES = 64 * 1024 * 1024;

/**
 * Copies the tree below the descriptor `from` to the directory `to`, as BuildKit's local exporter does: into what is there, file by file, each
 * whole or not at all. All belongs to the user who calls; modes, times, links, hard links, attributes and devices are those of the image. Links in
 * `to` are replaced, never followed. A directory that is not there yet gets its name when it is whole.
 * @throws SlipwayError `INVALID_OUTPUT`
 */
export async function exportTree(linux: Linux, from: number, to: string, options: ExportTreeOptions): Promise<void> {
  const target = resolve(to);
  const found = statSync(target, { throwIfNoEntry: false });
  if (found !== undefined && !found.isDirectory())
    throw new SlipwayError("INVALID_OUTPUT", `destination directory ${to} is a file`);
  if (found !== undefined) {
    const root = linux.openat(AT_FDCWD, target, O_RDONLY | O_DIRECTORY);
    try {
      await exportInto(linux, from, root, options);
    } finally {
      linux.close(root);
    }
    return;
  }
  const aside = join(dirname(target), `.${basename(target).slice(0, 100)}.${crypto.randomUUID().slice(0, 8)}`);
  mkdirSync(dirname(target), { recursive: true });
  mkdirSync(aside);
  try {
    const root = linux.openat(AT_FDCWD, aside, O_RDONLY | O_DIRECTORY);
    try {
      await exportInto(linux, from, root, options);
    } finally {
      linux.close(root);
    }
    renameSync(aside, target);
  } catch (error) {
    removeTree(linux, aside);
    throw error;
  }
}

async function exportInto(linux: Linux, from: number, root: number, options: ExportTreeOptions): Promise<void> {
  const links = new Map<string, string>();
  let files = 0;
  let bytes = 0;
  let turn = 0;

  async function breathe(): Promise<void> {
    if (++files % TURN !== 0 && bytes - turn < TURN_BYTES) return;
    turn = bytes;
    options.onProgress?.(bytes);
    await new Promise<void>((next) => setImmediate(next));
    options.signal.throwIfAborted();
  }

  async function directory(source: number, target: number, path: string): Promise<void> {
    const wanted = new Set<string>();
    for (const { name } of linux.readdir(source)) {
      await breathe();
      wanted.add(name);
      const stat = linux.statat(source, name);
      const there = linux.statatOrUndefined(target, name);
      if ((stat.mode & S_IFMT) === S_IFDIR) await enter(source, target, { name, path, stat, there });
      else replace(source, target, { name, path, stat, there });
    }
    if (options.mode === "copy") return;
    for (const { name } of linux.readdir(target)) if (!wanted.has(name)) remove(target, name);
  }

  function timeOf(stat: Stat): Timespec {
    const { epoch } = options;
    return epoch === undefined ? { sec: stat.mtimeSec, nsec: stat.mtimeNsec } : { sec: epoch, nsec: 0 };
  }

  async function enter(
    source: number,
    target: number,
    { name, path, stat, there }: { name: string; path: string; stat: Stat; there: Stat | undefined },
  ): Promise<void> {
    if (there !== undefined && (there.mode & S_IFMT) !== S_IFDIR) linux.unlinkat(target, name);
    if (there === undefined || (there.mode & S_IFMT) !== S_IFDIR) linux.mkdirat(target, name, 0o700);
    const below = linux.openat(source, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    try {
      const made = linux.openat(target, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      try {
        await directory(below, made, `${path}${name}/`);
        linux.fchmod(made, stat.mode & 0o7777);
        attributes(linux, below, made);
        linux.utimensat(made, "", timeOf(stat));
      } finally {
        linux.close(made);
      }
    } finally {
      linux.close(below);
    }
  }

  function replace(
    source: number,
    target: number,
    { name, path, stat, there }: { name: string; path: string; stat: Stat; there: Stat | undefined },
  ): void {
    const own = there === undefined ? name : `.slipway-${crypto.randomUUID().slice(0, 13)}`;
    const key = `${stat.dev}:${stat.ino}`;
    const first = stat.nlink > 1 ? links.get(key) : undefined;
    try {
      if (first !== undefined) linux.linkat(root, first, target, own);
      else make(source, target, name, own, stat);
      if (there !== undefined && (there.mode & S_IFMT) === S_IFDIR) remove(target, name);
      // Where both are one file by a hard link already, rename(2) does nothing and leaves both names.
      if (own !== name) linux.renameat2(target, own, target, name);
    } finally {
      if (own !== name && linux.statatOrUndefined(target, own) !== undefined) linux.unlinkat(target, own);
    }
    if (stat.nlink > 1 && first === undefined) links.set(key, `${path}${name}`);
  }

  function make(source: number, target: number, name: string, own: string, stat: Stat): void {
    const type = stat.mode & S_IFMT;
    const time = timeOf(stat);
    if (type === S_IFREG) {
      const input = linux.openat(source, name, O_RDONLY | O_NOFOLLOW);
      try {
        const output = linux.openat(target, own, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
        try {
          if (!linux.reflink(input, output)) copyContents(linux, input, output, stat.size);
          linux.fchmod(output, stat.mode & 0o7777);
          attributes(linux, input, output);
          linux.utimensat(output, "", time);
        } finally {
          linux.close(output);
        }
      } catch (error) {
        if (linux.statatOrUndefined(target, own) !== undefined) linux.unlinkat(target, own);
        throw error;
      } finally {
        linux.close(input);
      }
      bytes += stat.size;
      return;
    }
    if (type === S_IFLNK) linux.symlinkat(linux.readlinkat(source, name), target, own);
    else {
      linux.mknodat(target, own, stat.mode, stat.rdevMajor, stat.rdevMinor);
      linux.fchmodat(target, own, stat.mode & 0o7777);
    }
    linux.utimensat(target, own, time);
  }

  /** The descriptor of the folder bounds it: `name` is one part of a path, and links below are removed as links. */
  function remove(folder: number, name: string): void {
    removeTree(linux, `/proc/self/fd/${folder}/${name}`);
  }

  await directory(from, root, "");
}

function attributes(linux: Linux, from: number, to: number): void {
  for (const [name, value] of linux.xattrs(from, "")) {
    if (isPrivateAttribute(name)) continue;
    try {
      linux.setxattr(to, "", name, value);
    } catch (error) {
      // As BuildKit: what this file system or user cannot set is left out.
      if (!isErrno(error, "EPERM", "EOPNOTSUPP", "EACCES")) throw error;
    }
  }
}
