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
import { type Below, lookBelow, namesIn } from "../../layer/lookBelow.ts";
import { stackLayers } from "../../store/impliedDirs.ts";
import type { LayerRecord } from "../../store/Store.ts";
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
  const below = openBelow(engine, layers);
  try {
    const root = linux.openat(AT_FDCWD, written.path, O_RDONLY | O_DIRECTORY);
    try {
      const changes: Change[] = [];
      const stubs = new Set((containerOptions(record).stubs ?? []).map((stub) => stub.path));
      collect(linux, { root, below, stubs, changes }, root, "");
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
  below: Below;
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
    const lower = walk.below.stat(here);
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
  if (isOpaque) count += deletedBelow(walk, path, new Set(names.map((entry) => entry.name)));
  return { count, passed };
}

/** A directory that was removed and made again hides what the image had in it. */
function deletedBelow(walk: Walk, path: string, present: Set<string>): number {
  const gone = walk.below.names(path).filter((name) => !present.has(name));
  for (const name of gone) walk.changes.push({ kind: "D", path: `${path}/${name}` });
  return gone.length;
}

/** A view is a mount, which costs little, or a copy, which costs as much as the image is large: then the layers are looked into. */
function openBelow({ store }: Engine, layers: LayerRecord[]): Below {
  const { linux, snapshotter } = store;
  if (snapshotter.name === "copy")
    return lookBelow(
      linux,
      stackLayers(store, layers).map(({ path }) => path),
    );
  const view = snapshotter.view(layers);
  return {
    stat: (path) => statBelow(linux, view.fd, path),
    names: (path) => namesIn(linux, view.fd, path),
    close: view.close,
  };
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
