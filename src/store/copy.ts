import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { copyMerged, type PreparedFile } from "../layer/copyMerged.ts";
import { type ChangesOptions, writeChanges } from "../layer/writeChanges.ts";
import { AT_FDCWD, O_DIRECTORY, O_PATH, O_RDONLY } from "../linux/constants.ts";
import type { Linux } from "../linux/Linux.ts";
import { isErrno } from "../linux/LinuxError.ts";
import { stackLayers } from "./impliedDirs.ts";
import { parsePrepared, preparedText } from "./preparedRecord.ts";
import { removeTree } from "./removeTree.ts";
import type { Snapshotter, View } from "./Snapshotter.ts";
import type { LayerRecord, Store } from "./Store.ts";

/** The root file system, in a directory that was prepared. */
const TREE = "tree";
/** How its files were when it was made; written last, so that a tree without it is half of one. */
const RECORD = "prepared";

/** Whether the directory was prepared by copies. */
export function isCopied(directory: string): boolean {
  return existsSync(join(directory, RECORD));
}

/**
 * Root file systems that are plain copies of their layers (by reflink, where the file system has it), for who can mount no overlay: nothing of this needs
 * a mount. What was written is found by looking at each file's stat, and where that does not tell, at the file.
 */
export function createCopySnapshotter(store: Store): Snapshotter {
  const { linux } = store;

  /** As `overlay` makes an upper directory's root. */
  function makeTree(stack: readonly string[], tree: string): PreparedFile {
    mkdirSync(tree, { mode: 0o700 });
    const fd = linux.openat(AT_FDCWD, tree, O_RDONLY | O_DIRECTORY);
    try {
      const prepared = copyMerged(linux, stack, fd);
      const top = stack.at(-1);
      const { uid, gid } = top === undefined ? { uid: 0, gid: 0 } : linux.statat(AT_FDCWD, top);
      linux.fchownat(fd, "", uid, gid);
      linux.fchmod(fd, 0o755);
      // The last that is done to it: what is as young as this may be changed yet without another time.
      return { ...prepared, stat: linux.statat(fd, "") };
    } finally {
      linux.close(fd);
    }
  }

  function stackOf(layers: LayerRecord[]): string[] {
    return stackLayers(store, layers).map(({ path }) => path);
  }

  /** Makes what `directory` does not have yet. */
  function prepared(stack: readonly string[], directory: string): PreparedFile {
    const tree = join(directory, TREE);
    const record = join(directory, RECORD);
    if (existsSync(record)) return parsePrepared(readFileSync(record, "utf8"));
    removeTree(linux, tree); // a process ended in the midst of it
    const made = makeTree(stack, tree);
    writeFileSync(`${record}.new`, preparedText(made), { mode: 0o600 });
    renameSync(`${record}.new`, record);
    return made;
  }

  /** Into a fresh directory. */
  function changes(
    stack: readonly string[],
    directory: string,
    into: string,
    options: Pick<ChangesOptions, "way" | "amend">,
  ): void {
    const files = prepared(stack, directory);
    const tree = linux.openat(AT_FDCWD, join(directory, TREE), O_RDONLY | O_DIRECTORY);
    try {
      const target = linux.openat(AT_FDCWD, into, O_RDONLY | O_DIRECTORY);
      try {
        writeChanges(linux, tree, target, { stack, prepared: files, ...options });
      } finally {
        linux.close(target);
      }
    } finally {
      linux.close(tree);
    }
  }

  function view(layers: LayerRecord[]): View {
    const lease = store.lease("view");
    try {
      const path = join(lease.directory(), TREE);
      makeTree(stackOf(layers), path);
      const fd = openRoot(linux, path);
      return {
        fd,
        path,
        close() {
          linux.close(fd);
          lease.release();
        },
      };
    } catch (error) {
      lease.release();
      throw error;
    }
  }

  return {
    name: "copy",
    prepare(layers, directory) {
      const stack = stackOf(layers);
      const path = join(directory, TREE);
      prepared(stack, directory);
      return {
        path,
        mount: () => openRoot(linux, path),
        layer() {
          const upper = join(directory, "upper");
          mkdirSync(upper, { mode: 0o700 });
          changes(stack, directory, upper, { way: "move" });
          removeTree(linux, path);
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
        changes(stackOf(layers), directory, path, { way: "hollow" });
        return { path, close: () => lease.release() };
      } catch (error) {
        lease.release();
        throw error;
      }
    },
    copyWritten(layers, directory, target, amend) {
      if (!isCopied(directory)) return false;
      changes(stackOf(layers), directory, target, { way: "copy", ...(amend === undefined ? {} : { amend }) });
      return true;
    },
    moment(layers, directory) {
      if (!isCopied(directory)) return view(layers);
      const path = join(directory, TREE);
      const fd = openRoot(linux, path);
      return { fd, path, close: () => linux.close(fd) };
    },
  };
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
