import {
  AT_FDCWD,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_RDONLY,
  O_WRONLY,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFMT,
  SEEK_CUR,
} from "../linux/constants.ts";
import type { Linux, Timespec } from "../linux/Linux.ts";
import { isErrno } from "../linux/LinuxError.ts";
import { createHasher, type Digest } from "../oci/digest.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { copyFromLower } from "./copyFromLower.ts";
import { baseName, cleanPath, parentPath as parentOf } from "./entryPath.ts";
import { createDirectories } from "./layerDirectories.ts";
import {
  isPrivateAttribute,
  opaqueAttribute,
  OPAQUE_NAME,
  OPAQUE_VALUE,
  WHITEOUT_PREFIX,
  isWhiteout,
  makeWhiteout,
} from "./overlayForm.ts";
import { removeEntry } from "./removeEntry.ts";
import { createTarReader, type TarEntry } from "./tarReader.ts";
import { checkEntry, refused, unpackFailure } from "./unpackFailure.ts";

export interface UnpackOptions {
  /** An existing, empty directory. */
  directory: string;
  /**
   * `overlay` (the default): `.wh.` entries become what overlayfs makes of them. `literal`: they are files like any other, as in an
   * archive that is no layer.
   */
  whiteouts?: "overlay" | "literal";
  /** Directories of the layers below, lowest first: hard links to their files become copies. */
  lowerPaths?: readonly string[];
}

export interface UnpackedLayer {
  diffID: Digest;
  /** Bytes of the tar. */
  tarSize: number;
  /** Sum of the sizes of its files, hard links once. */
  size: number;
  /** Directories that were made for an entry's sake and never listed, relative; "" is the root. */
  impliedDirs: string[];
}

export interface Unpacker {
  /** Takes the next bytes of the uncompressed tar; `chunk` is not kept. */
  push(chunk: Uint8Array): void;
  /** Sets the times of directories and closes everything. */
  finish(): UnpackedLayer;
  /** Closes everything after a failure. */
  abort(): void;
}

const RESERVE_FROM = 1024 * 1024;
const RESERVE_STEP = 64 * 1024 * 1024;

/**
 * Turns a layer's tar into a directory tree in overlayfs's own form. Nothing is written outside `directory`, whatever names and links say;
 * owners, modes, times, attributes and devices are exact, but for the root's own, which is root's and 0755. Of several entries with one
 * name the last counts. Every error names the entry, but for a full disk (`ENOSPC`).
 * @throws SlipwayError `BAD_ARCHIVE`, `TRUNCATED_ARCHIVE`, `UNSUPPORTED_ENTRY`, `NEEDS_LOWER_LAYERS` (a hard link to a file of a
 * layer below, and no `lowerPaths`), `LINK_TARGET_MISSING`, `UNPACK_FAILED`
 */
export function createUnpacker(linux: Linux, options: UnpackOptions): Unpacker {
  const root = linux.openat(AT_FDCWD, options.directory, O_DIRECTORY);
  // Most layers list no root. What the caller made the directory with (0700) must not shut a container's users out of `/`.
  linux.fchmod(root, 0o755);
  const directories = createDirectories(linux, root, (bytes) => {
    size -= bytes;
  });
  const overlay = options.whiteouts !== "literal";
  const hasher = createHasher();
  const times = new Map<string, Timespec>();
  let tarSize = 0;
  let size = 0;
  let fileFd = -1;
  /** Bytes of the open file that have come, and that have room on the disk. */
  let written = 0;
  let reserved = 0;
  let current: TarEntry | undefined;

  const reader = createTarReader({
    entry(entry) {
      current = entry;
      checkEntry(entry, overlay);
      const path = cleanPath(entry.path);
      // Mode and owner of a container's root are not an image's to say: containerd neither takes nor writes an entry for it.
      if (path === "") return;
      const name = baseName(path);
      const parentPath = directories.resolve(parentOf(path));
      const parent = directories.open(parentPath);
      if (overlay && name.startsWith(WHITEOUT_PREFIX)) {
        whiteout(entry, parent, parentPath, name);
        return;
      }
      place(entry, parent, parentPath, name);
    },
    data(chunk) {
      if (fileFd < 0 || current === undefined) return;
      written += chunk.length;
      if (written > reserved && current.sparse !== true) reserve(current.size);
      linux.write(fileFd, chunk);
    },
    hole(length) {
      if (fileFd >= 0) linux.lseek(fileFd, length, SEEK_CUR);
    },
    end() {
      if (fileFd < 0 || current === undefined) return;
      if (current.sparse === true) linux.ftruncate(fileFd, current.size); // the last hole
      attributes(fileFd, "", current);
      linux.utimensat(fileFd, "", current.mtime);
      linux.close(fileFd);
      fileFd = -1;
    },
  });

  /** One extent instead of many; but no more of the disk than a step past what has come, whatever size a header claims. */
  function reserve(fileSize: number): void {
    if (fileSize <= RESERVE_FROM) {
      reserved = fileSize;
      return;
    }
    reserved = Math.min(fileSize, reserved + RESERVE_STEP);
    linux.preallocate(fileFd, reserved);
  }

  function whiteout(entry: TarEntry, parent: number, parentPath: string, name: string): void {
    if (name === OPAQUE_NAME) {
      linux.setxattr(parent, "", opaqueAttribute(linux), OPAQUE_VALUE);
      return;
    }
    const hidden = name.slice(WHITEOUT_PREFIX.length);
    if (hidden.startsWith(WHITEOUT_PREFIX)) return; // aufs's own book-keeping
    if (hidden === "" || hidden === "." || hidden === "..") throw refused(entry, "it is a whiteout of no file");
    // A whiteout speaks of the layers below: what this layer has itself stays, and a directory stops to show through.
    const own = linux.statatOrUndefined(parent, hidden);
    if (own === undefined) {
      makeWhiteout(linux, parent, hidden);
    } else if ((own.mode & S_IFMT) === S_IFDIR) {
      const path = parentPath === "" ? hidden : `${parentPath}/${hidden}`;
      linux.setxattr(directories.open(path), "", opaqueAttribute(linux), OPAQUE_VALUE);
    }
  }

  function place(entry: TarEntry, parent: number, parentPath: string, name: string): void {
    const path = parentPath === "" ? name : `${parentPath}/${name}`;
    switch (entry.type) {
      case "directory": {
        const hid = makeDirectory(parent, path, name);
        const fd = directories.open(path);
        attributes(fd, "", entry);
        if (hid) linux.setxattr(fd, "", opaqueAttribute(linux), OPAQUE_VALUE);
        directories.list(path);
        times.set(path, entry.mtime);
        return;
      }
      case "file":
        fileFd = createFile(parent, path, name);
        size += entry.size;
        written = reserved = 0;
        return;
      case "symlink":
        free(parent, path, name);
        linux.symlinkat(entry.linkname, parent, name);
        linux.fchownat(parent, name, entry.uid, entry.gid);
        break;
      case "hardlink":
        hardLink(entry, parent, path, name);
        return; // owner, mode and time are the target's
      default: {
        free(parent, path, name);
        const type = entry.type === "fifo" ? S_IFIFO : entry.type === "char" ? S_IFCHR : S_IFBLK;
        // A device 0:0 would be a whiteout to overlayfs: it removes the name below, which an archive does by `.wh.` only.
        if (overlay && type === S_IFCHR && entry.major === 0 && entry.minor === 0) {
          throw refused(entry, "a character device 0:0 cannot be told from a whiteout");
        }
        linux.mknodat(parent, name, type | 0o600, entry.major, entry.minor);
        linux.fchownat(parent, name, entry.uid, entry.gid);
        linux.fchmodat(parent, name, entry.mode);
      }
    }
    linux.utimensat(parent, name, entry.mtime);
  }

  function attributes(fd: number, path: string, entry: TarEntry): void {
    linux.fchownat(fd, path, entry.uid, entry.gid);
    linux.fchmod(fd, entry.mode); // after the owner, which takes setuid away
    for (const [name, value] of entry.xattrs) {
      if (isPrivateAttribute(name)) continue;
      try {
        linux.setxattr(fd, path, name, value);
      } catch (error) {
        if (isErrno(error, "ENOSPC", "E2BIG", "ERANGE")) {
          throw refused(
            entry,
            `its attribute ${JSON.stringify(name)} of ${value.length} bytes has no room in this file system`,
            error,
          );
        }
        // The store's file system keeps none of this kind; or only the machine's root may write it, as it would be the only one to read it.
        const rootsOwn = name.startsWith("trusted.") && linux.overlayAttributes() === "user.overlay.";
        if (!isErrno(error, "EOPNOTSUPP") && !(rootsOwn && isErrno(error, "EPERM"))) throw error;
      }
    }
  }

  /** True when a whiteout made room for it: the directory is new, and hides the one below. */
  function makeDirectory(parent: number, path: string, name: string): boolean {
    try {
      linux.mkdirat(parent, name, 0o755);
      return false;
    } catch (error) {
      if (!isErrno(error, "EEXIST")) throw error;
    }
    const there = linux.statat(parent, name);
    if ((there.mode & S_IFMT) === S_IFDIR) return false;
    const hid = overlay && isWhiteout(there);
    free(parent, path, name);
    linux.mkdirat(parent, name, 0o755);
    return hid;
  }

  function createFile(parent: number, path: string, name: string): number {
    const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
    try {
      return linux.openat(parent, name, flags, 0o600);
    } catch (error) {
      if (!isErrno(error, "EEXIST")) throw error;
    }
    free(parent, path, name);
    return linux.openat(parent, name, flags, 0o600);
  }

  /** Removes what an earlier entry of this archive put in the place. */
  function free(parent: number, path: string, name: string): void {
    const there = linux.statatOrUndefined(parent, name);
    if (there === undefined) return;
    if ((there.mode & S_IFMT) === S_IFDIR) {
      directories.forget(path);
      for (const known of times.keys()) if (known === path || known.startsWith(`${path}/`)) times.delete(known);
    }
    size -= removeEntry(linux, parent, name, there);
  }

  function hardLink(entry: TarEntry, parent: number, path: string, name: string): void {
    const target = cleanPath(entry.linkname);
    if (target === "") throw refused(entry, "it is a hard link to the root");
    if (target === path) return;
    const targetDirectory = parentOf(target);
    const targetName = baseName(target);
    let from: number | undefined;
    try {
      from = linux.openat2(root, targetDirectory === "" ? "." : targetDirectory, {
        flags: O_RDONLY | O_DIRECTORY,
        resolve: RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
      });
    } catch (error) {
      if (!isErrno(error, "ENOENT", "ENOTDIR")) throw error;
    }
    try {
      const there = from === undefined ? undefined : linux.statatOrUndefined(from, targetName);
      if (from !== undefined && there !== undefined && !isWhiteout(there)) {
        if ((there.mode & S_IFMT) === S_IFDIR) throw refused(entry, "it is a hard link to a directory");
        free(parent, path, name);
        linux.linkat(from, targetName, parent, name);
        return;
      }
    } finally {
      if (from !== undefined) linux.close(from);
    }
    // An archive that is no layer has nothing below.
    const lowerPaths = overlay ? options.lowerPaths : [];
    if (lowerPaths === undefined) {
      throw new SlipwayError(
        "NEEDS_LOWER_LAYERS",
        `${JSON.stringify(entry.path)} is a hard link to a file of a layer below`,
      );
    }
    free(parent, path, name);
    const copied = copyFromLower(linux, { root, lowerPaths, path: target }, parent, name);
    if (copied === undefined) {
      throw new SlipwayError(
        "LINK_TARGET_MISSING",
        `${JSON.stringify(entry.path)} is a hard link to ${JSON.stringify(entry.linkname)}, which is not there`,
        { hint: "A hard link comes after the file that it is a name of, in the same layer or a lower one." },
      );
    }
    size += copied;
  }

  function close(): void {
    if (fileFd >= 0) linux.close(fileFd);
    fileFd = -1;
    directories.close();
    linux.close(root);
  }

  return {
    push(chunk) {
      hasher.update(chunk);
      tarSize += chunk.length;
      try {
        reader.push(chunk);
      } catch (error) {
        throw unpackFailure(current, error);
      }
    },
    finish() {
      try {
        reader.finish();
        for (const [path, time] of times) linux.utimensat(directories.open(path), "", time);
        return { diffID: hasher.digest(), tarSize, size, impliedDirs: directories.implied() };
      } finally {
        close();
      }
    },
    abort: close,
  };
}
