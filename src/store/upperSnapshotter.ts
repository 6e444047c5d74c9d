import { existsSync, mkdirSync } from "node:fs";
import { join, relative } from "node:path";
import { AT_FDCWD, O_DIRECTORY, O_RDONLY } from "../linux/constants.ts";
import type { Linux } from "../linux/Linux.ts";
import { isErrno } from "../linux/LinuxError.ts";
import { type StackedLayer, stackLayers } from "./impliedDirs.ts";
import { removeTree } from "./removeTree.ts";
import type { Snapshot, Snapshotter, StorageName, View } from "./Snapshotter.ts";
import type { LayerRecord, Store } from "./Store.ts";

export interface Writable {
  upper: string;
  work: string;
  volatile: boolean;
}

/** What differs between overlay file systems. */
export interface UpperStorage {
  name: StorageName;
  /** A detached mount of the stack, lowest first, which is never empty; without `writable` two directories at the least, and for reading alone. */
  mount(stack: StackedLayer[], writable?: Writable): number;
  /** Hears of a directory before it is mounted on for writing. */
  prepared?(directory: string): void;
  /** Brings an upper directory, on which nothing is mounted, into kernel overlayfs's form. */
  normalise?(upper: number): void;
}

/** The stack and what is written to it as options of one line, their paths relative to the store's root. */
export function stackOptions(root: string, stack: StackedLayer[], writable: Writable | undefined): string[] {
  const lower = stack.toReversed().map((layer) => layer.shortPath());
  const options = [`lowerdir=${lower.join(":")}`];
  if (writable === undefined) return options;
  const { upper, work, volatile } = writable;
  options.push(`upperdir=${escapeOption(relative(root, upper))}`, `workdir=${escapeOption(relative(root, work))}`);
  if (volatile) options.push("volatile");
  return options;
}

function escapeOption(path: string): string {
  return path.replace(/[\\,:]/g, "\\$&");
}

/** Loaded where something was written: a start of a container needs none of it. */
function settling(): typeof import("../layer/settleUpper.ts") {
  return require("../layer/settleUpper.ts") as typeof import("../layer/settleUpper.ts");
}

/** Storage that writes into a directory `upper` over the layers, with a directory `work` beside it. */
export function createUpperSnapshotter(store: Store, storage: UpperStorage): Snapshotter {
  const { linux, root } = store;

  /** The lowest directory is never seen: it is empty. */
  function stackOf(layers: LayerRecord[], least: number): StackedLayer[] {
    const stack = stackLayers(store, layers);
    const empty = (n: number): StackedLayer => ({
      path: join(root, "empty", String(n)),
      shortPath: () => join("empty", String(n)),
    });
    return [...[empty(0), empty(1)].slice(0, Math.max(0, least - stack.length)), ...stack];
  }

  function prepare(
    layers: LayerRecord[],
    directory: string,
    { volatile = false }: { volatile?: boolean } = {},
  ): Snapshot {
    const stack = stackOf(layers, 1);
    const upper = join(directory, "upper");
    const work = join(directory, "work");
    if (makeDirectory(upper)) {
      const top = layers.length === 0 ? undefined : stack[stack.length - 1];
      // The root of the mount shows what the root of the upper directory says. As no tar holds the root, its mode must not go from one
      // step to the next either: containerd hands down its owner alone.
      const { uid, gid } = top === undefined ? { uid: 0, gid: 0 } : linux.statat(AT_FDCWD, top.path);
      linux.fchownat(AT_FDCWD, upper, uid, gid);
      linux.fchmodat(AT_FDCWD, upper, 0o755);
    }
    makeDirectory(work);
    storage.prepared?.(directory);
    return {
      mount: () => storage.mount(stack, { upper, work, volatile }),
      layer() {
        if (storage.normalise !== undefined) within(linux, upper, storage.normalise);
        settle(upper, layers);
        return upper;
      },
    };
  }

  function view(layers: LayerRecord[]): View {
    const fd = storage.mount(stackOf(layers, 2));
    return { fd, close: () => linux.close(fd) };
  }

  function settle(upper: string, layers: LayerRecord[]): void {
    let lower: View | undefined;
    try {
      within(linux, upper, (fd) =>
        settling().settleUpper(linux, fd, () => {
          lower ??= view(layers);
          return lower.fd;
        }),
      );
    } finally {
      lower?.close();
    }
  }

  /** In kernel overlayfs's form. False where nothing was prepared. */
  function copyUpper(directory: string, target: string): boolean {
    const upper = join(directory, "upper");
    if (!existsSync(upper)) return false;
    const { copyTree } = require("../layer/copyDirectory.ts") as typeof import("../layer/copyDirectory.ts");
    within(linux, upper, (fd) => copyTree(linux, fd, target));
    if (storage.normalise !== undefined) within(linux, target, storage.normalise);
    return true;
  }

  return {
    name: storage.name,
    prepare,
    view,
    written(_, directory) {
      if (!existsSync(join(directory, "upper"))) return undefined;
      if (storage.normalise === undefined) return { path: join(directory, "upper"), close: () => {} };
      const lease = store.lease("changes");
      const path = lease.directory();
      copyUpper(directory, path);
      return { path, close: () => lease.release() };
    },
    copyWritten(layers, directory, target, amend) {
      if (!copyUpper(directory, target)) return false;
      if (amend !== undefined) within(linux, target, amend);
      settle(target, layers);
      return true;
    },
    reuse: () => () => {},
    moment(layers, directory) {
      const lease = store.lease("moment");
      try {
        const own = lease.directory();
        const upper = join(own, "upper");
        makeDirectory(upper);
        if (!copyUpper(directory, upper)) removeTree(linux, upper);
        const fd = prepare(layers, own).mount();
        return {
          fd,
          close() {
            linux.close(fd);
            lease.release();
          },
        };
      } catch (error) {
        lease.release();
        throw error;
      }
    },
  };
}

/** Runs `work` with a descriptor of the directory. */
export function within(linux: Linux, path: string, work: (fd: number) => void): void {
  const fd = linux.openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
  try {
    work(fd);
  } finally {
    linux.close(fd);
  }
}

/** False where it was there already. */
function makeDirectory(path: string): boolean {
  try {
    mkdirSync(path, { mode: 0o700 });
    return true;
  } catch (error) {
    if (!isErrno(error, "EEXIST")) throw error;
    return false;
  }
}
