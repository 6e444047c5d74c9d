import {
  O_DIRECTORY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
} from "../linux/constants.ts";
import type { Linux } from "../linux/Linux.ts";
import { tarHeader } from "./tarHeader.ts";
import type { TarEntryType } from "./tarReader.ts";
import { fileEntry } from "./fileEntry.ts";

const BLOCK = 512;
const BUFFER = 1024 * 1024;
const TYPES: Record<number, TarEntryType> = {
  [S_IFDIR]: "directory",
  [S_IFREG]: "file",
  [S_IFLNK]: "symlink",
  [S_IFCHR]: "char",
  [S_IFBLK]: "block",
  [S_IFIFO]: "fifo",
};

/**
 * A tar of what has the name `name` in the directory `parent`, and of all below it, called `as` there: as somebody sees it who looks at it, not
 * in a layer's form. No link is followed and nothing but regular files is opened, whoever changes the tree meanwhile; a file that became shorter is
 * filled up with zeros. Sockets are left out. A piece is only valid until the next one is asked for.
 */
export function* packTree(linux: Linux, parent: number, name: string, as: string): Generator<Uint8Array> {
  const buffer = new Uint8Array(BUFFER);
  const links = new Map<string, string>();
  yield* pack(parent, name, as);
  yield new Uint8Array(2 * BLOCK);

  function* pack(directory: number, child: string, path: string): Generator<Uint8Array> {
    const stat = linux.statatOrUndefined(directory, child);
    const type = stat === undefined ? undefined : TYPES[stat.mode & S_IFMT];
    if (stat === undefined || type === undefined) return;
    const key = `${stat.dev}:${stat.ino}`;
    const first = type === "directory" || stat.nlink < 2 ? undefined : links.get(key);
    if (first !== undefined) {
      yield tarHeader({ ...fileEntry(path, stat, "hardlink"), linkname: first });
      return;
    }
    if (type !== "directory" && stat.nlink > 1) links.set(key, path);
    if (type === "directory") {
      const fd = linux.openat(directory, child, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      try {
        yield tarHeader({ ...fileEntry(path, stat, "directory"), xattrs: attributes(fd) });
        const names = linux.readdir(fd).map((entry) => entry.name);
        names.sort((a, b) => (a < b ? -1 : 1));
        for (const each of names) yield* pack(fd, each, `${path}/${each}`);
      } finally {
        linux.close(fd);
      }
    } else if (type === "file") yield* file(directory, child, path);
    else if (type === "symlink") {
      yield tarHeader({ ...fileEntry(path, stat, type), linkname: linux.readlinkat(directory, child) });
    } else yield tarHeader(fileEntry(path, stat, type));
  }

  function* file(directory: number, child: string, path: string): Generator<Uint8Array> {
    const fd = linux.openat(directory, child, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    try {
      const stat = linux.statat(fd, "");
      if ((stat.mode & S_IFMT) !== S_IFREG) return; // something else took its place
      yield tarHeader({ ...fileEntry(path, stat, "file"), size: stat.size, xattrs: attributes(fd) });
      for (let left = stat.size; left > 0; ) {
        const piece = left < BUFFER ? buffer.subarray(0, left) : buffer;
        let length = linux.read(fd, piece);
        if (length === 0) length = piece.fill(0).length;
        left -= length;
        yield buffer.subarray(0, length);
      }
      const rest = stat.size % BLOCK;
      if (rest > 0) yield new Uint8Array(BLOCK - rest);
    } finally {
      linux.close(fd);
    }
  }

  function attributes(fd: number): [string, Uint8Array][] {
    return linux.xattrs(fd, "").filter(([key]) => key.startsWith("user.") || key === "security.capability");
  }
}
