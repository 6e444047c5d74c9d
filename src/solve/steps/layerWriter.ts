import {
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  RESOLVE_NO_SYMLINKS,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
} from "../../linux/constants.ts";
import type { Linux, Stat, Timespec } from "../../linux/Linux.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { isCopied } from "../tree/FileTree.ts";

export interface Owner {
  uid: number;
  gid: number;
}

/**
 * Writes files straight into the directory that becomes a layer, as if it lay on top of `lower` (a read-only view of the layers
 * below). No overlay mount is needed: nothing is ever removed from below, so the merged tree is `upper` first, then `lower`.
 * Directories of the way that exist below get their mode, owner, attributes and times from there, as overlayfs's copy-up does.
 */
export interface LayerWriter {
  /** Descriptor of `upper`. */
  readonly root: number;
  /** Follows every link (the last one when `followLast`) inside the merged tree: a path without links, and what is there. */
  resolve(path: string, followLast: boolean): { path: string; stat: Stat | undefined };
  /** What is at a path that has no links in it. */
  stat(path: string): Stat | undefined;
  /** Makes the directory and its parents where they are missing (0755, `owner`, `time`); existing ones keep what they are. Returns it without links. */
  mkdirAll(path: string, owner: Owner, time: Timespec): string;
  /** A descriptor of the directory in `upper`, brought up from below when need be. `path` has no links and exists as a directory. Cached until `finish`. */
  directory(path: string): number;
  /** Removes what `upper` has at the path, so that a file can take its place. A directory there is an error. */
  makeRoom(path: string): void;
  /** Names that the directory holds, above or below. */
  names(path: string): Set<string>;
  /** Sets times of directories that were touched back to what they were, and closes all descriptors. */
  finish(): void;
}

const MAX_LINKS = 255;

export function createLayerWriter(linux: Linux, upperFd: number, lowerFd: number | undefined): LayerWriter {
  const open = new Map<string, number>([["", upperFd]]);
  const times = new Map<string, Timespec>();
  broughtUp("", lowerFd === undefined ? undefined : linux.statat(lowerFd, ""), upperFd);

  function lowerStat(path: string): Stat | undefined {
    if (lowerFd === undefined) return undefined;
    return statAt(lowerFd, path);
  }

  function statAt(fd: number, path: string): Stat | undefined {
    if (path === "") return linux.statat(fd, "");
    const slash = path.lastIndexOf("/");
    if (slash < 0) return linux.statatOrUndefined(fd, path);
    let parent: number;
    try {
      parent = linux.openat2(fd, path.slice(0, slash), { flags: O_PATH | O_DIRECTORY, resolve: RESOLVE_NO_SYMLINKS });
    } catch {
      return undefined; // the way there does not exist on this side, or is no directory
    }
    try {
      return linux.statatOrUndefined(parent, path.slice(slash + 1));
    } finally {
      linux.close(parent);
    }
  }

  function stat(path: string): Stat | undefined {
    return statAt(upperFd, path) ?? lowerStat(path);
  }

  function readlink(path: string): string {
    const side = statAt(upperFd, path) !== undefined ? upperFd : (lowerFd as number);
    const slash = path.lastIndexOf("/");
    const parent = linux.openat2(side, slash < 0 ? "." : path.slice(0, slash), {
      flags: O_PATH | O_DIRECTORY,
      resolve: RESOLVE_NO_SYMLINKS,
    });
    try {
      return linux.readlinkat(parent, path.slice(slash + 1));
    } finally {
      linux.close(parent);
    }
  }

  function resolve(path: string, followLast: boolean): { path: string; stat: Stat | undefined } {
    const rest = path.split("/").filter((part) => part !== "" && part !== ".");
    const done: string[] = [];
    let links = 0;
    let found: Stat | undefined = stat("");
    while (rest.length > 0) {
      const name = rest.shift() as string;
      if (name === "..") {
        done.pop();
        found = stat(done.join("/"));
        continue;
      }
      const here = [...done, name].join("/");
      found = stat(here);
      if (found !== undefined && (found.mode & S_IFMT) === S_IFLNK && (followLast || rest.length > 0)) {
        if (++links > MAX_LINKS) {
          throw new SlipwayError("TOO_MANY_LINKS", `too many symbolic links in ${JSON.stringify(`/${path}`)}`);
        }
        const target = readlink(here);
        if (target.startsWith("/")) done.length = 0;
        rest.unshift(...target.split("/").filter((part) => part !== "" && part !== "."));
        found = stat(done.join("/"));
        continue;
      }
      done.push(name);
    }
    return { path: done.join("/"), stat: found };
  }

  /** Gives a directory of `upper` what it has below. */
  function broughtUp(path: string, below: Stat | undefined, fd: number): void {
    if (below === undefined) return;
    linux.fchownat(fd, "", below.uid, below.gid);
    linux.fchmod(fd, below.mode & 0o7777);
    const source = linux.openat2(lowerFd as number, path === "" ? "." : path, {
      flags: O_DIRECTORY,
      resolve: RESOLVE_NO_SYMLINKS,
    });
    try {
      for (const [name, value] of linux.xattrs(source, "")) if (isCopied(name)) linux.setxattr(fd, "", name, value);
    } finally {
      linux.close(source);
    }
    times.set(path, { sec: below.mtimeSec, nsec: below.mtimeNsec });
  }

  function directory(path: string): number {
    const known = open.get(path);
    if (known !== undefined) return known;
    const slash = path.lastIndexOf("/");
    const parent = directory(slash < 0 ? "" : path.slice(0, slash));
    const name = path.slice(slash + 1);
    let fresh = false;
    if (linux.statatOrUndefined(parent, name) === undefined) {
      linux.mkdirat(parent, name, 0o755);
      fresh = true;
    }
    const fd = linux.openat(parent, name, O_DIRECTORY | O_NOFOLLOW);
    open.set(path, fd);
    if (fresh) broughtUp(path, lowerStat(path), fd);
    return fd;
  }

  return {
    root: upperFd,
    resolve,
    stat,
    directory,
    mkdirAll(path, owner, time) {
      const parts = path.split("/").filter((part) => part !== "" && part !== ".");
      let at = "";
      for (let i = 0; i < parts.length; i++) {
        const { path: next, stat: found } = resolve(`${at}/${parts[i]}`, true);
        if (found === undefined) {
          const slash = next.lastIndexOf("/");
          const parentPath = slash < 0 ? "" : next.slice(0, slash);
          // A dangling link names a place whose own parents may be missing, too.
          const parent =
            stat(parentPath) === undefined ? directory(this.mkdirAll(parentPath, owner, time)) : directory(parentPath);
          linux.mkdirat(parent, next.slice(slash + 1), 0o755);
          const fd = linux.openat(parent, next.slice(slash + 1), O_DIRECTORY | O_NOFOLLOW);
          linux.fchownat(fd, "", owner.uid, owner.gid);
          linux.fchmod(fd, 0o755);
          open.set(next, fd);
          times.set(next, time);
        } else if ((found.mode & S_IFMT) !== S_IFDIR) {
          throw new SlipwayError("NOT_A_DIRECTORY", `/${next} is not a directory`);
        }
        at = next;
      }
      return at;
    },
    makeRoom(path) {
      const found = stat(path);
      if (found === undefined) return;
      if ((found.mode & S_IFMT) === S_IFDIR) {
        throw new SlipwayError("IS_A_DIRECTORY", `cannot replace the directory /${path} with a file`);
      }
      const slash = path.lastIndexOf("/");
      const parent = directory(slash < 0 ? "" : path.slice(0, slash));
      if (linux.statatOrUndefined(parent, path.slice(slash + 1)) !== undefined) {
        linux.unlinkat(parent, path.slice(slash + 1));
      }
    },
    names(path) {
      const found = new Set(linux.readdir(directory(path)).map((entry) => entry.name));
      if (lowerFd === undefined || (lowerStat(path)?.mode ?? 0) >>> 12 !== S_IFDIR >>> 12) return found;
      const fd = linux.openat2(lowerFd, path === "" ? "." : path, { flags: O_DIRECTORY, resolve: RESOLVE_NO_SYMLINKS });
      try {
        for (const { name } of linux.readdir(fd)) found.add(name);
      } finally {
        linux.close(fd);
      }
      return found;
    },
    finish() {
      for (const [path, time] of times) {
        const fd = open.get(path);
        if (fd !== undefined) linux.utimensat(fd, "", time);
      }
      for (const [path, fd] of open) if (path !== "") linux.close(fd);
      open.clear();
      open.set("", upperFd);
      times.clear();
    },
  };
}
