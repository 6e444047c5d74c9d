import {
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  RESOLVE_NO_SYMLINKS,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
} from "../linux/constants.ts";
import type { Linux } from "../linux/Linux.ts";
import { isErrno } from "../linux/LinuxError.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { removeEntry } from "./removeEntry.ts";
import { opaqueAttribute, OPAQUE_VALUE, isWhiteout } from "./overlayForm.ts";

/** The directories of a tree that is being unpacked, by paths without links. A bounded number of descriptors is kept open. */
export interface LayerDirectories {
  /** Follows the links of `path` inside the tree and makes what is missing (0755, implied until listed); the path without links. */
  resolve(path: string): string;
  /** A descriptor; it stays valid until some hundred others were asked for. */
  open(path: string): number;
  /** The archive has an entry of its own for it. */
  list(path: string): void;
  implied(): string[];
  /** The directory and what is below is about to be removed. */
  forget(path: string): void;
  close(): void;
}

const KEPT = 128;
const MAX_LINKS = 255;

/** `removed` hears the bytes of each file that gives way to a directory. */
export function createDirectories(linux: Linux, root: number, removed: (bytes: number) => void): LayerDirectories {
  const open = new Map<string, number>();
  const implied = new Set<string>([""]);
  /** Paths known to be directories without links on the way. */
  const known = new Set<string>([""]);

  function descriptor(path: string): number {
    if (path === "") return root;
    const have = open.get(path);
    if (have !== undefined) {
      open.delete(path); // to the young end
      open.set(path, have);
      return have;
    }
    const fd = linux.openat2(root, path, { flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW, resolve: RESOLVE_NO_SYMLINKS });
    open.set(path, fd);
    if (open.size > KEPT) {
      const [oldest, oldFd] = open.entries().next().value as [string, number];
      open.delete(oldest);
      linux.close(oldFd);
    }
    return fd;
  }

  function resolve(path: string): string {
    if (known.has(path)) return path;
    const rest = path.split("/").filter((part) => part !== "" && part !== ".");
    const done: string[] = [];
    let links = 0;
    while (rest.length > 0) {
      const name = rest.shift() as string;
      if (name === "..") {
        done.pop();
        continue;
      }
      const parentPath = done.join("/");
      const here = parentPath === "" ? name : `${parentPath}/${name}`;
      if (!known.has(here)) {
        const parent = descriptor(parentPath);
        const stat = linux.statatOrUndefined(parent, name);
        const type = stat === undefined ? 0 : stat.mode & S_IFMT;
        if (stat === undefined) {
          imply(parent, name, here);
        } else if (type === S_IFLNK) {
          if (++links > MAX_LINKS)
            throw new SlipwayError("BAD_ARCHIVE", `too many symbolic links in ${JSON.stringify(path)}`);
          const target = linux.readlinkat(parent, name);
          if (target.startsWith("/")) done.length = 0;
          rest.unshift(...target.split("/").filter((part) => part !== "" && part !== "."));
          continue;
        } else if (type !== S_IFDIR) {
          // An earlier entry was a file (or a whiteout): the later one, which needs a directory here, counts.
          removed(removeEntry(linux, parent, name, stat));
          imply(parent, name, here);
          // What the whiteout hid of the layers below stays hidden.
          const whiteout = isWhiteout(stat);
          if (whiteout) linux.setxattr(parent, name, opaqueAttribute(linux), OPAQUE_VALUE);
        }
        known.add(here);
      }
      done.push(name);
    }
    return done.join("/");
  }

  function imply(parent: number, name: string, path: string): void {
    linux.mkdirat(parent, name, 0o755);
    // The umask, or a parent with setgid, must not show in it.
    linux.fchownat(parent, name, 0, 0);
    linux.fchmodat(parent, name, 0o755);
    implied.add(path);
  }

  return {
    resolve,
    open: descriptor,
    list: (path) => {
      implied.delete(path);
      known.add(path);
    },
    implied: () => [...implied].sort(),
    forget(path) {
      const below = (each: string): boolean => each === path || each.startsWith(`${path}/`);
      for (const each of [...known]) if (below(each)) known.delete(each);
      for (const each of [...implied]) if (below(each)) implied.delete(each);
      for (const [each, fd] of [...open]) {
        if (!below(each)) continue;
        open.delete(each);
        linux.close(fd);
      }
    },
    close() {
      for (const fd of open.values()) {
        try {
          linux.close(fd);
        } catch (error) {
          if (!isErrno(error, "EBADF")) throw error;
        }
      }
      open.clear();
    },
  };
}
