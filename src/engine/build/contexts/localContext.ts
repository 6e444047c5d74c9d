import { readFileSync, realpathSync, statSync, utimesSync } from "node:fs";
import { join, resolve } from "node:path";
import { createIgnoreMatcher, parseIgnoreFile } from "../../../dockerfile/ignore.ts";
import { AT_FDCWD, O_DIRECTORY } from "../../../linux/constants.ts";
import { isErrno } from "../../../linux/LinuxError.ts";
import { SlipwayError } from "../../../oci/SlipwayError.ts";
import { createFileTree, type FileTree } from "../../../solve/tree/FileTree.ts";
import type { Store } from "../../../store/Store.ts";

/** An ignore file: its patterns in order, and its text, of which they are. */
export interface IgnoreFile {
  /** As messages name it: `.dockerignore`. Undefined where there is none. */
  name: string | undefined;
  text: string;
  patterns: string[];
}

/** A directory as the tree that COPY takes from: without what is ignored, its files' digests known from the build before. */
export function openDirectory(store: Store, directory: string, patterns: readonly string[]): FileTree {
  const key = new Bun.SHA256().update(directory).digest("hex").slice(0, 32);
  const file = join(store.root, "contexts", key);
  touch(file);
  const root = store.linux.openat(AT_FDCWD, directory, O_DIRECTORY);
  return createFileTree(store.linux, root, {
    rootOwned: true,
    index: file,
    ...(patterns.length === 0 ? {} : { filter: createIgnoreMatcher(patterns) }),
  });
}

/** To the minute: the garbage collector takes what was used longest ago. */
function touch(file: string): void {
  const modified = statSync(file, { throwIfNoEntry: false })?.mtimeMs;
  if (modified === undefined || Date.now() - modified < 60_000) return;
  try {
    utimesSync(file, new Date(), new Date());
  } catch (error) {
    if (!isErrno(error, "ENOENT")) throw error; // a garbage collector was quicker
  }
}

/** The directory's real path. @throws SlipwayError `CONTEXT_NOT_FOUND` */
export function contextDirectory(path: string): string {
  try {
    const real = realpathSync(resolve(path));
    if (statSync(real).isDirectory()) return real;
  } catch (error) {
    if (!isErrno(error, "ENOENT", "ENOTDIR", "EACCES")) throw error;
  }
  throw new SlipwayError(
    "CONTEXT_NOT_FOUND",
    `the build context ${JSON.stringify(path)} is not a directory that can be read`,
    {
      hint: "The last argument of build is the directory whose files the Dockerfile may copy: often just `.`",
    },
  );
}

/** `<Dockerfile>.dockerignore` beside the Dockerfile wins over `.dockerignore` of the context. */
export function loadIgnoreFile(directory: string, dockerfile: string | undefined): IgnoreFile {
  const candidates = [[join(directory, ".dockerignore"), ".dockerignore"]];
  if (dockerfile !== undefined)
    candidates.unshift([
      `${dockerfile}.dockerignore`,
      `${dockerfile.slice(dockerfile.lastIndexOf("/") + 1)}.dockerignore`,
    ]);
  for (const [path, name] of candidates as [string, string][]) {
    try {
      const text = readFileSync(path, "utf8");
      return { name, text, patterns: parseIgnoreFile(text) };
    } catch (error) {
      if (!isErrno(error, "ENOENT")) throw error;
    }
  }
  return { name: undefined, text: "", patterns: [] };
}
