import { AT_FDCWD, O_DIRECTORY, O_RDONLY, RESOLVE_IN_ROOT, RESOLVE_NO_SYMLINKS } from "../linux/constants.ts";
import type { Linux, Stat } from "../linux/Linux.ts";
import { isErrno } from "../linux/LinuxError.ts";
import { findInLayers } from "./findInLayers.ts";

/** The files that layers show together, one at a time. Paths have no links on their way. */
export interface Below {
  stat(path: string): Stat | undefined;
  /** Of a directory; empty where there is none. */
  names(path: string): string[];
  close(): void;
}

/** By looking into each directory of the stack (lowest first), for who can mount none: dear for many files, cheap for some. */
export function lookBelow(linux: Linux, stack: readonly string[]): Below {
  const roots: number[] = [];
  for (const path of stack) roots.unshift(linux.openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY));

  function stat(path: string): Stat | undefined {
    const plain = path.split("/").filter((part) => part !== "");
    if (plain.length === 0) return roots[0] === undefined ? undefined : linux.statat(roots[0], "");
    const found = findInLayers(linux, roots, plain.join("/"));
    return found?.path === plain.join("/") ? found.stat : undefined;
  }

  return {
    stat,
    names(path) {
      const all = new Set<string>();
      for (const root of roots) for (const name of namesIn(linux, root, path)) all.add(name);
      return [...all].filter((name) => stat(`${path}/${name}`) !== undefined);
    },
    close() {
      for (const fd of roots) linux.close(fd);
    },
  };
}

/** None where the directory is not there. */
export function namesIn(linux: Linux, root: number, path: string): string[] {
  let fd: number;
  try {
    const resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS;
    fd = linux.openat2(root, path === "" ? "." : path, { flags: O_RDONLY | O_DIRECTORY, resolve });
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR", "ELOOP")) return [];
    throw error;
  }
  try {
    return linux.readdir(fd).map(({ name }) => name);
  } finally {
    linux.close(fd);
  }
}
