import {
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  O_WRONLY,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFMT,
} from "../linux/constants.ts";
import type { Linux, Timespec } from "../linux/Linux.ts";
import { isErrno } from "../linux/LinuxError.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { createTarReader, type TarEntry, type TarReader } from "./tarReader.ts";

export interface ExtractOptions {
  /** Directory that names are resolved in: no name and no link leads out of it. */
  root: number;
  /** Where in it to put what comes; it exists. */
  at: string;
  /** `RESOLVE_IN_ROOT` or `RESOLVE_BENEATH`: whether a link that leads out is bent back or an error. */
  resolve: number;
  /** For everything, in place of what the archive says. */
  owner?: { uid: number; gid: number };
  /** Names are changed on their way: undefined leaves one out. */
  rename?: (path: string) => string | undefined;
}

/**
 * Unpacks a tar into a tree that is in use, over what is there, as `docker cp` does: existing files are replaced, existing directories are
 * kept and merged, neither takes the other's place. @throws SlipwayError `CANNOT_COPY`, `BAD_ARCHIVE`
 */
export function createExtractor(linux: Linux, options: ExtractOptions): TarReader {
  const { root, resolve } = options;
  let open: { fd: number; finish: () => void } | undefined;
  const times: { path: string; time: Timespec }[] = [];

  const reader = createTarReader({
    entry,
    data: (chunk) => open !== undefined && linux.write(open.fd, chunk),
    hole(length) {
      if (open === undefined) return;
      const zeros = new Uint8Array(Math.min(length, 64 * 1024));
      for (let left = length; left > 0; left -= zeros.length) linux.write(open.fd, zeros.subarray(0, left));
    },
    end() {
      open?.finish();
      open = undefined;
    },
  });
  return {
    push: reader.push,
    finish() {
      reader.finish();
      // A directory's time is what it was after the last file in it.
      for (const { path, time } of times.toReversed()) {
        inDirectory(path, (fd) => linux.utimensat(fd, "", time));
      }
    },
  };

  function entry(given: TarEntry): void {
    const named = clean(given.path);
    const path = options.rename === undefined ? named : options.rename(named);
    if (path === undefined) return;
    if (path === "") {
      if (given.type === "directory") return; // the place itself
      throw failure(given.path, "it has no name");
    }
    const slash = path.lastIndexOf("/");
    const name = path.slice(slash + 1);
    const parent = openParent(slash < 0 ? "" : path.slice(0, slash));
    try {
      make(given, { parent, name, path });
    } catch (error) {
      if (error instanceof SlipwayError) throw error;
      throw failure(given.path, (error as Error).message, error);
    } finally {
      linux.close(parent);
    }
  }

  function make(given: TarEntry, { parent, name, path }: { parent: number; name: string; path: string }): void {
    const there = linux.statatOrUndefined(parent, name);
    const isDirectory = there !== undefined && (there.mode & S_IFMT) === S_IFDIR;
    if (isDirectory && given.type !== "directory") {
      throw failure(given.path, "cannot overwrite directory with non-directory");
    }
    if (there !== undefined && !isDirectory) {
      if (given.type === "directory") throw failure(given.path, "cannot overwrite non-directory with directory");
      linux.unlinkat(parent, name);
    }
    switch (given.type) {
      case "directory":
        if (!isDirectory) linux.mkdirat(parent, name, 0o700);
        dress(given, parent, name);
        times.push({ path, time: given.mtime });
        return;
      case "file": {
        const fd = linux.openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
        open = {
          fd,
          finish() {
            try {
              const { uid, gid } = options.owner ?? given;
              linux.fchownat(fd, "", uid, gid);
              linux.fchmod(fd, given.mode & 0o7777);
              for (const [key, value] of given.xattrs) setAttribute(fd, key, value);
              linux.utimensat(fd, "", given.mtime);
            } finally {
              linux.close(fd);
            }
          },
        };
        return;
      }
      case "hardlink": {
        const renamed = options.rename === undefined ? clean(given.linkname) : options.rename(clean(given.linkname));
        if (renamed === undefined) throw failure(given.path, `its link target ${given.linkname} is not copied`);
        const slash = renamed.lastIndexOf("/");
        const target = openParent(slash < 0 ? "" : renamed.slice(0, slash));
        try {
          linux.linkat(target, renamed.slice(slash + 1), parent, name);
        } finally {
          linux.close(target);
        }
        return;
      }
      case "symlink":
        linux.symlinkat(given.linkname, parent, name);
        break;
      case "fifo":
        linux.mknodat(parent, name, S_IFIFO | 0o600, 0, 0);
        break;
      case "char":
      case "block":
        linux.mknodat(parent, name, (given.type === "char" ? S_IFCHR : S_IFBLK) | 0o600, given.major, given.minor);
        break;
    }
    dress(given, parent, name);
    linux.utimensat(parent, name, given.mtime);
  }

  function dress(given: TarEntry, parent: number, name: string): void {
    const { uid, gid } = options.owner ?? given;
    linux.fchownat(parent, name, uid, gid);
    if (given.type !== "symlink") linux.fchmodat(parent, name, given.mode & 0o7777);
  }

  function setAttribute(fd: number, key: string, value: Uint8Array): void {
    // Others are somebody else's: an archive cannot make a security label or overlayfs's marks.
    if (!key.startsWith("user.") && key !== "security.capability") return;
    try {
      linux.setxattr(fd, "", key, value);
    } catch (error) {
      if (!isErrno(error, "ENOTSUP", "EPERM")) throw error;
    }
  }

  /** The directory that is `path` below `at`, made where it is missing. */
  function openParent(path: string): number {
    let fd = openDirectory("");
    const parts = path === "" ? [] : path.split("/");
    for (let count = 1; count <= parts.length; count++) {
      const below = parts.slice(0, count).join("/");
      let next: number;
      try {
        next = openDirectory(below);
      } catch (error) {
        if (!isErrno(error, "ENOENT")) throw failure(below, (error as Error).message, error);
        linux.mkdirat(fd, parts[count - 1] as string, 0o755);
        if (options.owner !== undefined)
          linux.fchownat(fd, parts[count - 1] as string, options.owner.uid, options.owner.gid);
        next = openDirectory(below);
      }
      linux.close(fd);
      fd = next;
    }
    return fd;
  }

  function openDirectory(below: string): number {
    const path = [options.at, below].filter((part) => part !== "").join("/") || ".";
    return linux.openat2(root, path, { flags: O_PATH | O_DIRECTORY, resolve });
  }

  function inDirectory(path: string, work: (fd: number) => void): void {
    const full = [options.at, path].filter((part) => part !== "").join("/");
    const fd = linux.openat2(root, full, { flags: O_RDONLY | O_DIRECTORY, resolve });
    try {
      work(fd);
    } finally {
      linux.close(fd);
    }
  }
}

/** Without leading slashes and dots; `..` is refused. */
function clean(path: string): string {
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..")) throw failure(path, "its name leads out");
  return parts.join("/");
}

function failure(path: string, why: string, cause?: unknown): SlipwayError {
  return new SlipwayError("CANNOT_COPY", `cannot copy ${JSON.stringify(path)}: ${why}`, { cause });
}
