import { AT_FDCWD, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, S_IFDIR, S_IFMT, S_IFREG } from "../../linux/constants.ts";
import type { Linux } from "../../linux/Linux.ts";
import { isErrno } from "../../linux/LinuxError.ts";
import type { ContainerRecord } from "../../store/Store.ts";
import type { Engine } from "../Engine.ts";

export interface ContainerSize {
  /** Bytes of the files that it has written, hard links once. */
  written: number;
  /** The same with its image's. */
  whole: number;
}

export function containerSize(engine: Engine, record: ContainerRecord): ContainerSize {
  const { linux, containers, layers, snapshotter } = engine.store;
  const records = record.layers.flatMap((diffID) => layers.get(diffID) ?? []);
  const found = snapshotter.written(records, containers.directory(record.id));
  let written = 0;
  if (found !== undefined) {
    try {
      const root = linux.openat(AT_FDCWD, found.path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      try {
        written = sizeBelow(linux, root, new Set());
      } finally {
        linux.close(root);
      }
    } finally {
      found.close();
    }
  }
  const image = records.reduce((sum, { size }) => sum + size, 0);
  return { written, whole: written + image };
}

/** What a running container removes meanwhile is left out. */
function sizeBelow(linux: Linux, directory: number, seen: Set<string>): number {
  let sum = 0;
  for (const { name } of linux.readdir(directory)) {
    const stat = linux.statatOrUndefined(directory, name);
    if (stat === undefined) continue;
    if ((stat.mode & S_IFMT) === S_IFDIR) {
      let child: number;
      try {
        child = linux.openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      } catch (error) {
        if (isErrno(error, "ENOENT", "ENOTDIR", "ELOOP")) continue;
        throw error;
      }
      try {
        sum += sizeBelow(linux, child, seen);
      } finally {
        linux.close(child);
      }
    } else if ((stat.mode & S_IFMT) === S_IFREG) {
      const key = `${stat.dev}:${stat.ino}`;
      if (stat.nlink > 1 && seen.has(key)) continue;
      seen.add(key);
      sum += stat.size;
    }
  }
  return sum;
}
