import { O_NOFOLLOW, O_RDONLY, S_IFBLK, S_IFCHR, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from "../../linux/constants.ts";
import type { Linux } from "../../linux/Linux.ts";
import { encodePath } from "../../linux/pathBytes.ts";
import { type FileTree, isCopied, type TreeFilter, type TreeNode } from "./FileTree.ts";

export interface TreeDigester {
  /**
   * Merkle digest (hex) of a file or a whole directory: type, mode, owner, link target, device, extended attributes and bytes,
   * never times unless there is an epoch to clamp them to. With `contentsOnly`, a directory counts by what is in it and not by its own
   * mode and owner. Nodes are read once; unchanged files of an index are not read at all. `selection` hears paths relative to the node.
   */
  digest(node: TreeNode, options?: DigestOptions): string;
  /** Of one file, or a directory by itself: `mode owner content`, with an epoch ` @time` after it. Content is a digest (hex), or a link's target as JSON. */
  describe(node: TreeNode): string;
  /** All that `digest` counts, as path, text, path, text …: paths relative to the node, which is "." itself, texts as `describe` gives them. */
  list(node: TreeNode, options?: DigestOptions): Iterable<string>;
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
const NO_ATTRIBUTES = new Uint8Array(DIGEST);
/** In the place of a mode: a directory that is not selected itself, but something below it is. */
const ONLY_BELOW = 0xffffffff;

/** With `epoch` (seconds), the files' times count, those later than it as if they were it: for what COPY keeps the times of. */
export function createTreeDigester(
  linux: Linux,
  tree: FileTree,
  { epoch }: { epoch?: number | undefined } = {},
): TreeDigester {
  /** Of directories: what is in them. */
  const memo = new Map<TreeNode, Uint8Array>();
  const read = createReader(linux, tree);
  const empty = new Uint8Array(DIGEST);
  /** Not in use at the moment: one for each directory of the way down is enough. */
  const spare: Scratch[] = [];

  /** Copies what the file or directory holds by itself: its bytes and extended attributes. */
  function contentInto(node: TreeNode, directoryFd: (() => number) | undefined, into: Uint8Array, at: number): void {
    if (tree.index?.get(node.stat, into, at) !== true) into.set(read(node, directoryFd), at);
  }

  function linkTarget(node: TreeNode, directoryFd: (() => number) | undefined): string {
    return directoryFd === undefined ? tree.readlink(node) : linux.readlinkat(directoryFd(), node.name);
  }

  /** One file or directory as bytes: mode, owner, content and name, each of a known length; what is in a directory comes after it. */
  function write(into: Scratch, node: TreeNode, directoryFd: (() => number) | undefined): void {
    const { mode, uid, gid, rdevMajor, rdevMinor } = node.stat;
    into.number(mode);
    into.number(tree.rootOwned ? 0 : uid);
    into.number(tree.rootOwned ? 0 : gid);
    if (epoch !== undefined) into.text(timeOf(node, epoch));
    const type = mode & S_IFMT;
    if (type === S_IFREG || type === S_IFDIR) {
      const at = into.room(DIGEST); // before `into.bytes` is looked at
      contentInto(node, directoryFd, into.bytes, at);
    } else if (type === S_IFLNK) into.text(linkTarget(node, directoryFd));
    else if (type === S_IFCHR || type === S_IFBLK) into.text(`${rdevMajor},${rdevMinor}`);
  }

  function contents(node: TreeNode, base: string, selected: Selected | undefined): Uint8Array {
    const known = selected === undefined ? memo.get(node) : undefined;
    if (known !== undefined) return known;
    const lines = spare.pop() ?? createScratch();
    // Files are opened by their directory's descriptor, and that only when one has to be read.
    let fd: number | undefined;
    const directoryFd = (): number => {
      fd ??= tree.open(node);
      return fd;
    };
    try {
      for (const child of tree.children(node)) {
        const path = selected === undefined || base === "" ? child.name : `${base}/${child.name}`;
        const verdict = selected?.filter.visit(selected.state, path);
        const inside = verdict && { filter: (selected as Selected).filter, state: verdict.state };
        if (verdict?.keep !== false) {
          lines.text(child.name);
          write(lines, child, directoryFd);
          if (child.isDirectory) lines.append(contents(child, path, inside));
        } else if (child.isDirectory && verdict.descend) {
          const below = contents(child, path, inside);
          if (below === empty) continue;
          lines.text(child.name);
          lines.number(ONLY_BELOW);
          lines.append(below);
        }
      }
    } finally {
      if (fd !== undefined) linux.close(fd);
    }
    const digest = lines.length() === 0 ? empty : lines.digest();
    lines.clear();
    spare.push(lines);
    if (selected === undefined) memo.set(node, digest);
    return digest;
  }

  function describe(node: TreeNode): string {
    const { mode, uid, gid, rdevMajor, rdevMinor } = node.stat;
    const type = mode & S_IFMT;
    let content = "";
    if (type === S_IFREG || type === S_IFDIR) {
      const digest = Buffer.alloc(DIGEST);
      contentInto(node, undefined, digest, 0);
      content = digest.toString("hex");
    } else if (type === S_IFLNK) content = JSON.stringify(linkTarget(node, undefined));
    else if (type === S_IFCHR || type === S_IFBLK) content = `${rdevMajor},${rdevMinor}`;
    const time = epoch === undefined ? "" : ` @${timeOf(node, epoch)}`;
    return `${mode.toString(8)} ${tree.rootOwned ? "0:0" : `${uid}:${gid}`} ${content}${time}`;
  }

  function* below(node: TreeNode, base: string, selected: Selected | undefined): Generator<string> {
    for (const child of tree.children(node)) {
      const path = base === "" ? child.name : `${base}/${child.name}`;
      const verdict = selected?.filter.visit(selected.state, path);
      if (verdict?.keep !== false) {
        yield path;
        yield describe(child);
      }
      if (!child.isDirectory || (verdict?.keep === false && !verdict.descend)) continue;
      yield* below(child, path, verdict && { filter: (selected as Selected).filter, state: verdict.state });
    }
  }

  return {
    describe,
    *list(node, { contentsOnly = false, selection } = {}) {
      if (!contentsOnly || !node.isDirectory) yield* [".", describe(node)];
      yield* below(node, "", select(selection));
    },
    digest(node, { contentsOnly = false, selection } = {}) {
      const whole = createScratch();
      if (!contentsOnly || !node.isDirectory) write(whole, node, undefined);
      else if (epoch !== undefined) whole.text(timeOf(node, epoch));
      if (node.isDirectory) whole.append(contents(node, "", select(selection)));
      return Buffer.from(whole.digest()).toString("hex");
    },
  };
}

function timeOf({ stat }: TreeNode, epoch: number): string {
  return String(Math.min(stat.mtimeSec, epoch));
}

function select(filter: TreeFilter | undefined): Selected | undefined {
  return filter === undefined ? undefined : { filter, state: filter.root() };
}

/** Reads what a file or directory holds by itself, once. `directoryFd` gives a descriptor of its directory. */
function createReader(linux: Linux, tree: FileTree) {
  const known = new Map<TreeNode, Uint8Array>();
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
    const before = known.get(node);
    if (before !== undefined) return before;
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
      node.stat = stat; // what the digest is of
      node.bare = attributes.length === 0;
      if (tree.index?.put(stat, digest, readAt) !== true) known.set(node, digest);
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
      const most = value.length * 3;
      const at = scratch.room(4 + most);
      const { bytes } = scratch;
      let written = 0;
      let plain = true;
      for (; written < value.length && plain; written++) {
        const code = value.charCodeAt(written);
        bytes[at + 4 + written] = code;
        plain = code < 0x80;
      }
      if (!plain) {
        const encoded = encodePath(value);
        bytes.set(encoded, at + 4);
        written = encoded.length;
      }
      used = at;
      scratch.number(written);
      used = at + 4 + written;
    },
    append(bytes) {
      const at = scratch.room(bytes.length);
      scratch.bytes.set(bytes, at);
    },
    digest: () => Bun.SHA256.hash(scratch.bytes.subarray(0, used)) as Uint8Array,
  };
  return scratch;
}
