import {
  AT_FDCWD,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_SYMLINKS,
  S_IFDIR,
  S_IFMT,
  S_IFREG,
} from "../../linux/constants.ts";
import { opaqueAttribute, isWhiteout } from "../../layer/overlayForm.ts";
import type { Linux, Stat } from "../../linux/Linux.ts";
import { isErrno } from "../../linux/LinuxError.ts";
import { containerOptions } from "./ContainerOptions.ts";
import type { Change, Engine } from "../Engine.ts";

/**
 * What the container has changed of its image: A added, C changed, D deleted, sorted by path; the directories that lead to a change are changed, too. Read from
 * the writable layer, running or not. @throws SlipwayError `CONTAINER_NOT_FOUND`
 */
export function diffContainer(engine: Engine, nameOrId: string): Change[] {
  const { store } = engine;
  const { linux } = store;
  const record = store.containers.find(nameOrId);
  const layers = record.layers.map((diffID) => store.layers.require(diffID));
  const written = store.snapshotter.written(layers, store.containers.directory(record.id));
  if (written === undefined) return []; // never started
  const below = store.snapshotter.view(layers);
  try {
    const root = linux.openat(AT_FDCWD, written.path, O_RDONLY | O_DIRECTORY);
    try {
      const changes: Change[] = [];
      const stubs = new Set((containerOptions(record).stubs ?? []).map((stub) => stub.path));
      collect(linux, { root, below: below.fd, stubs, changes }, root, "");
      return changes.sort((a, b) => (a.path < b.path ? -1 : 1));
    } finally {
      linux.close(root);
    }
  } finally {
    below.close();
    written.close();
  }
}

interface Walk {
  root: number;
  below: number;
  /** Places that were made to be mounted on. */
  stubs: Set<string>;
  changes: Change[];
}

/** Returns how many entries of the directory are changes, and whether stubs were passed over. */
function collect(linux: Linux, walk: Walk, directory: number, path: string): { count: number; passed: boolean } {
  let count = 0;
  let passed = false;
  const isOpaque = path !== "" && linux.getxattr(directory, "", opaqueAttribute(linux))?.[0] === 0x79; // "y"
  const names = linux.readdir(directory);
  for (const { name } of names) {
    const here = `${path}/${name}`;
    const stat = linux.statat(directory, name);
    const type = stat.mode & S_IFMT;
    if (isWhiteout(stat)) {
      walk.changes.push({ kind: "D", path: here });
      count++;
      continue;
    }
    const lower = statBelow(linux, walk.below, here);
    if (type !== S_IFDIR) {
      if (walk.stubs.has(here) && type === S_IFREG && stat.size === 0) {
        passed = true;
        continue;
      }
      walk.changes.push({ kind: lower === undefined ? "A" : "C", path: here });
      count++;
      continue;
    }
    const sub = linux.openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    try {
      const inside = collect(linux, walk, sub, here);
      if (inside.count === 0) {
        if (walk.stubs.has(here)) {
          passed = true;
          continue;
        }
        // Copied up for what was mounted in it, or opened for writing in vain: nothing of it is different.
        if (lower !== undefined && (inside.passed || isSameDirectory(stat, lower))) continue;
      }
      walk.changes.push({ kind: lower === undefined ? "A" : "C", path: here });
      count++;
    } finally {
      linux.close(sub);
    }
  }
  if (isOpaque) count += deletedBelow(linux, walk, path, new Set(names.map((entry) => entry.name)));
  return { count, passed };
}

/** A directory that was removed and made again hides what the image had in it. */
function deletedBelow(linux: Linux, walk: Walk, path: string, present: Set<string>): number {
  let fd: number;
  try {
    fd = linux.openat2(walk.below, path, {
      flags: O_RDONLY | O_DIRECTORY,
      resolve: RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS,
    });
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR", "ELOOP")) return 0;
    throw error;
  }
  try {
    const gone = linux.readdir(fd).filter((entry) => !present.has(entry.name));
    for (const { name } of gone) walk.changes.push({ kind: "D", path: `${path}/${name}` });
    return gone.length;
  } finally {
    linux.close(fd);
  }
}

function statBelow(linux: Linux, below: number, path: string): Stat | undefined {
  let fd: number;
  try {
    const resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS;
    fd = linux.openat2(below, path, { flags: O_PATH | O_NOFOLLOW, resolve });
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR", "ELOOP")) return undefined;
    throw error;
  }
  try {
    return linux.statat(fd, "");
  } finally {
    linux.close(fd);
  }
}

function isSameDirectory(a: Stat, b: Stat): boolean {
  return (
    a.mode === b.mode && a.uid === b.uid && a.gid === b.gid && a.mtimeSec === b.mtimeSec && a.mtimeNsec === b.mtimeNsec
  );
}
