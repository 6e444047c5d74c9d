import {
  AT_FDCWD,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
} from "../linux/constants.ts";
import type { Linux, Stat } from "../linux/Linux.ts";
import { createHasher, type Digest } from "../oci/digest.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { isPrivateAttribute, opaqueAttribute, OPAQUE_NAME, WHITEOUT_PREFIX, isWhiteout } from "./overlayForm.ts";
import { clearTime, putTarHeader, tarHeader } from "./tarHeader.ts";
import type { TarEntry } from "./tarReader.ts";
import type { UnpackedLayer } from "./unpackLayer.ts";
import { fileEntry } from "./fileEntry.ts";

export interface PackOptions {
  /**
   * The tar is for others: a file whose own name is that of a whiteout is refused, as it would be lost there and take a file of the layers
   * below with it (image-spec, layer.md: no such file can be in an image).
   */
  leaving?: boolean;
  /** Directory of the archive that all lies in, without slashes at its ends. */
  prefix?: string;
  /** Seconds: the time of every entry, whatever the file's is. */
  time?: number;
  /** More of the archive follows: its end is not written. */
  open?: boolean;
  /** Hears the archive once more, piece by piece, with no time in any header. */
  timeless?: (bytes: Uint8Array) => void;
}

const BLOCK = 512;
const BUFFER = 1024 * 1024;

/**
 * The tar of a layer's directory (in overlayfs's form), piece by piece: parents before children, names in a fixed order, the same bytes for
 * the same tree every time. Whiteouts and opaque directories become `.wh.` entries; sockets and the root itself are left out, as containerd
 * does. A piece is only valid until the next one is asked for.
 * @throws SlipwayError `WHITEOUT_NAME` where `leaving`
 */
export function* packLayer(
  linux: Linux,
  directory: string,
  { leaving = false, prefix, time, open = false, timeless }: PackOptions = {},
): Generator<Uint8Array, { size: number }> {
  const root = linux.openat(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY);
  const buffer = new Uint8Array(BUFFER);
  /** Bytes of the buffer that are filled: small files are many to a piece. */
  let filled = 0;
  /** Where headers begin in it, for `timeless`. */
  const headers: number[] = [];
  const links = new Map<number, string>();
  let size = 0;
  const entry = (path: string, stat: Stat, type: TarEntry["type"]): TarEntry =>
    fileEntry(path, time === undefined ? stat : { ...stat, mtimeSec: time }, type);

  function* walk(fd: number, parent: string): Generator<Uint8Array> {
    const found = linux.readdirStats(fd);
    found.sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const { name, stat } of found) {
      const path = parent + name;
      if (leaving && name.startsWith(WHITEOUT_PREFIX)) throw whiteoutName(path);
      const type = stat.mode & S_IFMT;
      if (isWhiteout(stat)) {
        yield* put(whiteout(`${parent}${WHITEOUT_PREFIX}${name}`)); // overlayfs makes many of them one inode: they are no hard links
        continue;
      }
      if (stat.nlink > 1 && type !== S_IFDIR && type !== S_IFSOCK) {
        const first = links.get(stat.ino);
        if (first !== undefined) {
          yield* header({ ...entry(path, stat, "hardlink"), linkname: first });
          continue;
        }
        links.set(stat.ino, path);
      }
      switch (type) {
        case S_IFDIR: {
          const child = linux.openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
          try {
            yield* header({ ...entry(path, stat, "directory"), xattrs: attributes(child) });
            if (linux.getxattr(child, "", opaqueAttribute(linux)) !== undefined)
              yield* put(whiteout(`${path}/${OPAQUE_NAME}`));
            yield* walk(child, `${path}/`);
          } finally {
            linux.close(child);
          }
          break;
        }
        case S_IFREG:
          if (!smallFile(fd, name, path, stat)) yield* file(fd, name, path, stat);
          break;
        case S_IFLNK:
          yield* header({ ...entry(path, stat, "symlink"), linkname: linux.readlinkat(fd, name) });
          break;
        case S_IFCHR:
          yield* header(entry(path, stat, "char"));
          break;
        case S_IFBLK:
          yield* header(entry(path, stat, "block"));
          break;
        case S_IFIFO:
          yield* header(entry(path, stat, "fifo"));
          break;
        case S_IFSOCK:
          break;
      }
    }
  }

  /** What most files are, without the cost of a generator: one that the buffer has room for. False, and nothing done, for any other. */
  function smallFile(directoryFd: number, name: string, path: string, stat: Stat): boolean {
    const padding = (BLOCK - (stat.size % BLOCK)) % BLOCK;
    if (filled + BLOCK + stat.size + padding > BUFFER) return false;
    const fd = linux.openat(directoryFd, name, O_RDONLY | O_NOFOLLOW);
    try {
      const said = entry(path, stat, "file");
      said.size = stat.size;
      if (attributes(fd).length > 0 || !putTarHeader(buffer, filled, said)) return false;
      if (timeless !== undefined) headers.push(filled);
      filled += BLOCK;
      size += stat.size;
      const end = filled + stat.size;
      while (filled < end) filled += part(fd, path, filled, end);
      buffer.fill(0, filled, filled + padding);
      filled += padding;
      return true;
    } finally {
      linux.close(fd);
    }
  }

  function part(fd: number, path: string, start: number, end: number): number {
    const length = linux.read(fd, buffer, start, end);
    if (length === 0) throw new Error(`${path} of the layer ${directory} became shorter while it was read`);
    return length;
  }

  function* header(entry: TarEntry): Generator<Uint8Array> {
    yield* put(tarHeader(entry));
  }

  function* file(directoryFd: number, name: string, path: string, stat: Stat): Generator<Uint8Array> {
    const fd = linux.openat(directoryFd, name, O_RDONLY | O_NOFOLLOW);
    try {
      size += stat.size;
      yield* header({ ...entry(path, stat, "file"), size: stat.size, xattrs: attributes(fd) });
      let left = stat.size;
      while (left > 0) {
        if (filled === BUFFER) yield* flush();
        const length = part(fd, path, filled, Math.min(filled + left, BUFFER));
        left -= length;
        filled += length;
      }
      yield* pad((BLOCK - (stat.size % BLOCK)) % BLOCK);
    } finally {
      linux.close(fd);
    }
  }

  function* put(bytes: Uint8Array): Generator<Uint8Array> {
    if (filled + bytes.length > BUFFER) yield* flush();
    if (bytes.length > BUFFER) {
      yield bytes; // attributes of a mebibyte
      return;
    }
    buffer.set(bytes, filled);
    filled += bytes.length;
    if (timeless !== undefined) headers.push(filled - BLOCK); // a PAX header goes before it
  }

  function* pad(length: number): Generator<Uint8Array> {
    if (filled + length > BUFFER) yield* flush();
    buffer.fill(0, filled, filled + length);
    filled += length;
  }

  function* flush(): Generator<Uint8Array> {
    if (filled > 0) yield buffer.subarray(0, filled);
    if (timeless !== undefined) {
      for (const at of headers) clearTime(buffer, at);
      headers.length = 0;
      timeless(buffer.subarray(0, filled));
    }
    filled = 0;
  }

  function attributes(fd: number): [string, Uint8Array][] {
    const all = linux.xattrs(fd, "");
    return all.length === 0 ? all : all.filter(([name]) => !isPrivateAttribute(name));
  }

  try {
    if (prefix === undefined) yield* walk(root, "");
    else {
      yield* header(entry(prefix, linux.statat(root, ""), "directory"));
      yield* walk(root, `${prefix}/`);
    }
    if (!open) yield* pad(2 * BLOCK);
    yield* flush();
    return { size };
  } finally {
    linux.close(root);
  }
}

/** What a layer's record says of it, and a sum of all in it but times: layers of different sums have different contents. In one pass over its bytes. */
export function describeLayer(linux: Linux, directory: string): UnpackedLayer & { timeless: string } {
  const hasher = createHasher();
  let timeless = 0n;
  const pieces = packLayer(linux, directory, {
    timeless: (bytes) => {
      timeless = Bun.hash.wyhash(bytes, timeless);
    },
  });
  let tarSize = 0;
  for (;;) {
    const next = pieces.next();
    if (next.done === true) {
      const diffID = hasher.digest() as Digest;
      return { diffID, tarSize, size: next.value.size, impliedDirs: [], timeless: timeless.toString(16) };
    }
    hasher.update(next.value);
    tarSize += next.value.length;
  }
}

function whiteoutName(path: string): SlipwayError {
  return new SlipwayError(
    "WHITEOUT_NAME",
    `the image's file ${JSON.stringify(`/${path}`)} cannot leave: a name that begins with ".wh." says in a layer that another file is removed`,
    { hint: "Remove or rename the file in the step that makes it." },
  );
}

function whiteout(path: string): Uint8Array {
  return tarHeader({
    path,
    type: "file",
    mode: 0,
    uid: 0,
    gid: 0,
    size: 0,
    mtime: { sec: 0, nsec: 0 },
    linkname: "",
    major: 0,
    minor: 0,
    xattrs: [],
  });
}
