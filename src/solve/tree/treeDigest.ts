import { O_NOFOLLOW, O_RDONLY, S_IFBLK, S_IFCHR, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from "../../linux/constants.ts";
import type { Linux } from "../../linux/Linux.ts";
import { decodePath, encodePath } from "../../linux/pathBytes.ts";
import type { FileList, Piece } from "../explain/entries.ts";
import { type FileTree, isCopied, type TreeFilter, TreeNode } from "./FileTree.ts";

export interface TreeDigester {
  /**
   * Merkle digest (hex) of a file or a whole directory: type, mode, owner, link target, device, extended attributes and bytes,
   * never times unless there is an epoch to clamp them to. With `contentsOnly`, a directory counts by what is in it and not by its own
   * mode and owner. Nodes are read once; unchanged files of an index are not read at all. `selection` hears paths relative to the node.
   */
  digest(node: TreeNode, options?: DigestOptions): string;
  /** Of one file, or a directory by itself: `mode owner content`, with an epoch ` @time` after it. Content is a digest (hex), or a link's target as JSON. */
  describe(node: TreeNode): string;
  /** All that `digest` counts: paths relative to the node, which is "." itself, texts as `describe` gives them. */
  list(node: TreeNode, options?: DigestOptions): FileList;
}

export interface DigestOptions {
  contentsOnly?: boolean;
  selection?: TreeFilter;
}

/** A filter at one directory of its walk. */
interface Selected {
  filter: TreeFilter;
  state: unknown;
}

const CHUNK = 1024 * 1024;
const DIGEST = 32;
/** Bytes of a list that are handed on at once: from here on, where a name says so, and at most. */
const [PIECE, LARGEST_PIECE] = [32 * 1024, 256 * 1024];
const NO_ATTRIBUTES = new Uint8Array(DIGEST);
/** In the place of a mode: a directory that is not selected itself, but something below it is. */
const ONLY_BELOW = 0xffffffff;

/** With `epoch` (seconds), the files' times count, those later than it as if they were it: for what COPY keeps the times of. */
export function createTreeDigester(
  linux: Linux,
  tree: FileTree,
  { epoch }: { epoch?: number | undefined } = {},
): TreeDigester {
  /** Of directories by their rows: what is in them. */
  const memo = new Map<number, Uint8Array>();
  const { files } = tree;
  const read = createReader(linux, tree);
  const empty = new Uint8Array(DIGEST);
  const described = new Uint8Array(DIGEST);
  /** Not in use at the moment: one for each directory of the way down is enough. */
  const spare: { lines: Scratch; child: TreeNode }[] = [];

  /** Copies what the file or directory holds by itself: its bytes and extended attributes. */
  function contentInto(node: TreeNode, directoryFd: (() => number) | undefined, into: Uint8Array, at: number): void {
    if (!tree.digests.get(node, into, at)) into.set(read(node, directoryFd), at);
  }

  function linkTarget(node: TreeNode, directoryFd: (() => number) | undefined): string {
    return directoryFd === undefined ? tree.readlink(node) : linux.readlinkat(directoryFd(), node.name);
  }

  /** One file or directory as bytes: mode, owner, content and name, each of a known length; what is in a directory comes after it. */
  function write(into: Scratch, node: TreeNode, directoryFd: (() => number) | undefined): void {
    const { mode } = node;
    into.number(mode);
    into.number(tree.rootOwned ? 0 : node.uid);
    into.number(tree.rootOwned ? 0 : node.gid);
    if (epoch !== undefined) into.text(timeOf(node, epoch));
    const type = mode & S_IFMT;
    if (type === S_IFREG || type === S_IFDIR) {
      const at = into.room(DIGEST); // before `into.bytes` is looked at
      contentInto(node, directoryFd, into.bytes, at);
    } else if (type === S_IFLNK) into.text(linkTarget(node, directoryFd));
    else if (type === S_IFCHR || type === S_IFBLK) into.text(`${node.rdevMajor},${node.rdevMinor}`);
  }

  function contents(directory: number, base: string, selected: Selected | undefined): Uint8Array {
    const known = selected === undefined ? memo.get(directory) : undefined;
    if (known !== undefined) return known;
    const room = spare.pop() ?? { lines: createScratch(), child: new TreeNode(files, 0) };
    const { lines, child } = room;
    // Files are opened by their directory's descriptor, and that only when one has to be read.
    let fd: number | undefined;
    const directoryFd = (): number => {
      fd ??= tree.open(new TreeNode(files, directory));
      return fd;
    };
    const count = tree.load(directory);
    try {
      for (let place = 0; place < count; place++) {
        const row = files.child(directory, place);
        child.move(row);
        const path = selected === undefined ? "" : join(base, child.name);
        const verdict = selected?.filter.visit(selected.state, path);
        const inside = verdict && { filter: (selected as Selected).filter, state: verdict.state };
        if (verdict?.keep !== false) {
          lines.name(child);
          write(lines, child, directoryFd);
          if (child.isDirectory) lines.append(contents(row, path, inside));
        } else if (child.isDirectory && verdict.descend) {
          const below = contents(row, path, inside);
          if (below === empty) continue;
          lines.name(child);
          lines.number(ONLY_BELOW);
          lines.append(below);
        }
      }
    } finally {
      if (fd !== undefined) linux.close(fd);
    }
    const digest = lines.length() === 0 ? empty : lines.digest();
    lines.clear();
    spare.push(room);
    if (selected === undefined) memo.set(directory, digest);
    return digest;
  }

  function describe(node: TreeNode): string {
    const text = createScratch();
    describeInto(text, node);
    return decodePath(text.bytes.subarray(0, text.length()));
  }

  function describeInto(into: Scratch, node: TreeNode): void {
    const { mode } = node;
    const type = mode & S_IFMT;
    const owner = tree.rootOwned ? "0:0" : `${node.uid}:${node.gid}`;
    into.plain(`${mode.toString(8)} ${owner} `);
    if (type === S_IFREG || type === S_IFDIR) {
      contentInto(node, undefined, described, 0);
      into.hex(described);
    } else if (type === S_IFLNK) into.plain(JSON.stringify(linkTarget(node, undefined)));
    else if (type === S_IFCHR || type === S_IFBLK) into.plain(`${node.rdevMajor},${node.rdevMinor}`);
    if (epoch !== undefined) into.plain(` @${timeOf(node, epoch)}`);
  }

  /** Lists what is in a directory: `base` is its path, with a slash behind it. */
  function* below(piece: Scratch, directory: number, base: string, selected: Selected | undefined): FileList {
    const child = new TreeNode(files, directory);
    const count = tree.load(directory);
    for (let place = 0; place < count; place++) {
      const row = files.child(directory, place);
      child.move(row);
      const verdict = selected?.filter.visit(selected.state, base + child.name);
      if (verdict?.keep !== false) {
        piece.plain(base);
        piece.bytesOf(child);
        piece.end();
        describeInto(piece, child);
        piece.end();
        if (piece.length() >= (isCut(child) ? PIECE : LARGEST_PIECE)) yield taken(piece);
      }
      if (!child.isDirectory || (verdict?.keep === false && !verdict.descend)) continue;
      const inside = verdict && { filter: (selected as Selected).filter, state: verdict.state };
      yield* below(piece, row, `${base}${child.name}/`, inside);
    }
  }

  return {
    describe,
    *list(node, { contentsOnly = false, selection } = {}) {
      const piece = createScratch();
      if (!contentsOnly || !node.isDirectory) {
        piece.plain(".");
        piece.end();
        describeInto(piece, node);
        piece.end();
      }
      yield* below(piece, node.row, "", select(selection));
      if (piece.length() > 0) yield taken(piece);
    },
    digest(node, { contentsOnly = false, selection } = {}) {
      const whole = createScratch();
      if (!contentsOnly || !node.isDirectory) write(whole, node, undefined);
      else if (epoch !== undefined) whole.text(timeOf(node, epoch));
      if (node.isDirectory) whole.append(contents(node.row, "", select(selection)));
      return Buffer.from(whole.digest()).toString("hex");
    },
  };
}

function timeOf({ mtimeSec }: TreeNode, epoch: number): string {
  return String(Math.min(mtimeSec, epoch));
}

function join(directory: string, name: string): string {
  return directory === "" ? name : `${directory}/${name}`;
}

/** Of about every 32nd name. */
function isCut({ nameBytes, nameStart, nameLength }: TreeNode): boolean {
  let sum = 0;
  for (let i = 0; i < nameLength; i++) sum = (Math.imul(sum, 31) + (nameBytes[nameStart + i] as number)) | 0;
  return ((sum ^ (sum >>> 15)) & 31) === 0;
}

/** What was written. It stays until more is. */
function taken(scratch: Scratch): Piece {
  const bytes = scratch.bytes.subarray(0, scratch.length());
  scratch.clear();
  return { hash: Bun.hash.xxHash64(bytes), bytes: () => bytes };
}

/** Of "0" to "f". */
const HEX = Uint8Array.from("0123456789abcdef", (digit) => digit.charCodeAt(0));

function select(filter: TreeFilter | undefined): Selected | undefined {
  return filter === undefined ? undefined : { filter, state: filter.root() };
}

/** Reads what a file or directory holds by itself, once. `directoryFd` gives a descriptor of its directory. */
function createReader(linux: Linux, tree: FileTree) {
  let buffer: Uint8Array | undefined;

  function bytesOf(fd: number, size: number): Uint8Array {
    buffer ??= new Uint8Array(CHUNK);
    const length = linux.read(fd, buffer);
    if (length < buffer.length && length >= size) return Bun.SHA256.hash(buffer.subarray(0, length)) as Uint8Array;
    const hash = new Bun.SHA256().update(buffer.subarray(0, length));
    for (let more = linux.read(fd, buffer); more > 0; more = linux.read(fd, buffer))
      hash.update(buffer.subarray(0, more));
    return hash.digest() as Uint8Array;
  }

  return (node: TreeNode, directoryFd: (() => number) | undefined): Uint8Array => {
    const readAt = Date.now();
    const fd =
      directoryFd === undefined ? tree.open(node) : linux.openat(directoryFd(), node.name, O_RDONLY | O_NOFOLLOW);
    try {
      const stat = linux.statat(fd, "");
      const attributes = linux.xattrs(fd, "").filter(([name]) => isCopied(name));
      let digest = (stat.mode & S_IFMT) === S_IFREG ? bytesOf(fd, stat.size) : NO_ATTRIBUTES;
      if (attributes.length > 0) {
        const hash = new Bun.SHA256().update(digest);
        for (const [name, value] of attributes) hash.update(`${name}\0${value.length}\0`).update(value);
        digest = hash.digest() as Uint8Array;
      }
      node.set(stat); // what the digest is of
      tree.digests.put(node, digest, readAt);
      return digest;
    } finally {
      linux.close(fd);
    }
  };
}

/** Bytes that grow. */
interface Scratch {
  bytes: Uint8Array;
  length(): number;
  clear(): void;
  /** Makes room for so many bytes; where they begin. `bytes` may be another array after it. */
  room(length: number): number;
  number(value: number): void;
  /** With its length. */
  text(value: string): void;
  /** The same of a file's name. */
  name(file: TreeNode): void;
  /** These without a length. */
  plain(value: string): void;
  bytesOf(file: TreeNode): void;
  hex(bytes: Uint8Array): void;
  /** A NUL. */
  end(): void;
  append(bytes: Uint8Array): void;
  digest(): Uint8Array;
}

function createScratch(): Scratch {
  let used = 0;
  const scratch: Scratch = {
    bytes: new Uint8Array(1024),
    length: () => used,
    clear() {
      used = 0;
    },
    room(length) {
      const at = used;
      used += length;
      if (used > scratch.bytes.length) {
        const larger = new Uint8Array(Math.max(used, scratch.bytes.length * 2));
        larger.set(scratch.bytes);
        scratch.bytes = larger;
      }
      return at;
    },
    number(value) {
      const at = scratch.room(4);
      const { bytes } = scratch;
      bytes[at] = value;
      bytes[at + 1] = value >>> 8;
      bytes[at + 2] = value >>> 16;
      bytes[at + 3] = value >>> 24;
    },
    text(value) {
      const at = scratch.room(4);
      scratch.plain(value);
      const end = used;
      used = at;
      scratch.number(end - at - 4);
      used = end;
    },
    plain(value) {
      const at = scratch.room(value.length);
      const { bytes } = scratch;
      for (let i = 0; i < value.length; i++) {
        const code = value.charCodeAt(i);
        if (code > 0x7f) {
          used = at;
          scratch.append(encodePath(value));
          return;
        }
        bytes[at + i] = code;
      }
    },
    name(file) {
      scratch.number(file.nameLength);
      scratch.bytesOf(file);
    },
    bytesOf(file) {
      const { nameBytes, nameStart, nameLength } = file;
      const at = scratch.room(nameLength);
      const { bytes } = scratch;
      for (let i = 0; i < nameLength; i++) bytes[at + i] = nameBytes[nameStart + i] as number;
    },
    hex(value) {
      const at = scratch.room(2 * value.length);
      const { bytes } = scratch;
      for (let i = 0; i < value.length; i++) {
        bytes[at + 2 * i] = HEX[(value[i] as number) >>> 4] as number;
        bytes[at + 2 * i + 1] = HEX[(value[i] as number) & 15] as number;
      }
    },
    end() {
      scratch.bytes[scratch.room(1)] = 0;
    },
    append(bytes) {
      const at = scratch.room(bytes.length);
      scratch.bytes.set(bytes, at);
    },
    digest: () => Bun.SHA256.hash(scratch.bytes.subarray(0, used)) as Uint8Array,
  };
  return scratch;
}
