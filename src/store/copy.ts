import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { copyMerged, type MergedCopy, type PreparedFile } from "../layer/copyMerged.ts";
import { type ChangesOptions, writeChanges } from "../layer/writeChanges.ts";
import { AT_FDCWD, O_DIRECTORY, O_PATH } from "../linux/constants.ts";
import type { Linux } from "../linux/Linux.ts";
import { isErrno } from "../linux/LinuxError.ts";
import { createTreePool } from "./copyPool.ts";
import { stackLayers } from "./impliedDirs.ts";
import { parsePrepared, preparedText } from "./preparedRecord.ts";
import { removeTree } from "./removeTree.ts";
import type { Snapshotter, View } from "./Snapshotter.ts";
import type { LayerRecord, Store } from "./Store.ts";
import { within } from "./upperSnapshotter.ts";

/** The root file system, in a directory that was prepared. */
const TREE = "tree";
/** How its files were when it was made; written last, so that a tree without it is half of one. */
const RECORD = "prepared";

/** Whether the directory was prepared by copies. */
export function isCopied(directory: string): boolean {
  return existsSync(join(directory, RECORD));
}

/** A root file system as it was made. */
export interface CopiedTree {
  stack: readonly string[];
  prepared: PreparedFile;
}

/**
 * Root file systems that are plain copies of their layers (by reflink, where the file system has it), for who can mount no overlay: nothing of this needs
 * a mount. What was written is found by looking at each file's stat, and where that does not tell, at the file.
 */
export function createCopySnapshotter(store: Store): Snapshotter {
  const { linux } = store;
  const pool = createTreePool(store);

  /** A tree at `path`: made of one that is not needed any more, or anew. */
  function treeAt(layers: LayerRecord[], path: string): CopiedTree {
    const stack = stackLayers(store, layers).map((layer) => layer.path);
    const old = pool.take(layers, path);
    if (old === undefined) mkdirSync(path, { mode: 0o700 });
    return { stack, prepared: makeTree(linux, path, { stack, ...(old === undefined ? {} : { old }) }) };
  }

  /** Makes what `directory` does not have yet. */
  function treeIn(layers: LayerRecord[], directory: string, volatile = false): CopiedTree {
    const record = join(directory, RECORD);
    if (existsSync(record)) {
      const stack = stackLayers(store, layers).map((layer) => layer.path);
      return { stack, prepared: parsePrepared(readFileSync(record, "utf8")) };
    }
    const path = join(directory, TREE);
    removeTree(linux, path); // a process ended in the midst of it
    const made = treeAt(layers, path);
    if (!volatile || !pool.isOpen()) {
      writeFileSync(`${record}.new`, preparedText(made.prepared), { mode: 0o600 });
      renameSync(`${record}.new`, record);
    }
    return made;
  }

  function changes(tree: CopiedTree, path: string, into: string, options: Pick<ChangesOptions, "way" | "amend">): void {
    within(linux, path, (from) => within(linux, into, (to) => writeChanges(linux, from, to, { ...tree, ...options })));
  }

  function view(layers: LayerRecord[]): View {
    const shared = pool.share(layers, (path) => treeAt(layers, path));
    try {
      const fd = openRoot(linux, shared.path);
      return {
        fd,
        path: shared.path,
        close() {
          linux.close(fd);
          shared.release();
        },
      };
    } catch (error) {
      shared.release();
      throw error;
    }
  }

  return {
    name: "copy",
    prepare(layers, directory, { volatile = false } = {}) {
      const tree = treeIn(layers, directory, volatile);
      const path = join(directory, TREE);
      return {
        path,
        mount: () => openRoot(linux, path),
        layer() {
          const upper = join(directory, "upper");
          mkdirSync(upper, { mode: 0o700 });
          changes(tree, path, upper, { way: "move" });
          if (!pool.give(layers, path, tree)) removeTree(linux, path);
          return upper;
        },
      };
    },
    view,
    written(layers, directory) {
      if (!isCopied(directory)) return undefined;
      const lease = store.lease("changes");
      try {
        const path = lease.directory();
        changes(treeIn(layers, directory), join(directory, TREE), path, { way: "hollow" });
        return { path, close: () => lease.release() };
      } catch (error) {
        lease.release();
        throw error;
      }
    },
    copyWritten(layers, directory, target, amend) {
      if (!isCopied(directory)) return false;
      const options = { way: "copy" as const, ...(amend === undefined ? {} : { amend }) };
      changes(treeIn(layers, directory), join(directory, TREE), target, options);
      return true;
    },
    moment(layers, directory) {
      if (!isCopied(directory)) return view(layers);
      const path = join(directory, TREE);
      const fd = openRoot(linux, path);
      return { fd, path, close: () => linux.close(fd) };
    },
    reuse: pool.open,
  };
}

/** As `overlay` makes an upper directory's root. */
function makeTree(linux: Linux, path: string, copy: MergedCopy): PreparedFile {
  let made: PreparedFile | undefined;
  within(linux, path, (fd) => {
    const prepared = copyMerged(linux, fd, copy);
    const top = copy.stack.at(-1);
    const { uid, gid } = top === undefined ? { uid: 0, gid: 0 } : linux.statat(AT_FDCWD, top);
    linux.fchownat(fd, "", uid, gid);
    linux.fchmod(fd, 0o755);
    // The last that is done to it: what is as young as this may be changed yet without another time.
    made = { ...prepared, stat: linux.statat(fd, "") };
  });
  return made as unknown as PreparedFile;
}

/** A detached mount of the directory where this process may make one; otherwise the directory. */
function openRoot(linux: Linux, path: string): number {
  try {
    return linux.openTree(AT_FDCWD, path);
  } catch (error) {
    if (!isErrno(error, "EPERM", "ENOSYS", "EINVAL")) throw error;
    return linux.openat(AT_FDCWD, path, O_PATH | O_DIRECTORY);
  }
}
