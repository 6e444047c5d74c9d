import { O_NOFOLLOW, O_RDONLY, S_IFBLK, S_IFCHR, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from "../../linux/constants.ts";
import type { Linux } from "../../linux/Linux.ts";
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
  list(node: TreeNode, options?: DigestOptions): string[];
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
const NO_ATTRIBUTES = new Uint8Array(32);

/** With `epoch` (seconds), the files' times count, those later than it as if they were it: for what COPY keeps the times of. */
export function createTreeDigester(
  linux: Linux,
  tree: FileTree,
  { epoch }: { epoch?: number | undefined } = {},
): TreeDigester {
  const memo = new Map<TreeNode, string>();
  const ownMemo = new Map<TreeNode, string>();
  let buffer: Uint8Array | undefined;

  /** Reads a file's bytes, or a directory's nothing, together with its extended attributes. */
  function read(node: TreeNode, directoryFd: number | undefined): Uint8Array {
    const readAt = Date.now();
    const fd =
      directoryFd === undefined ? tree.open(node) : linux.openat(directoryFd, node.name, O_RDONLY | O_NOFOLLOW);
    try {
      const before = linux.statat(fd, "");
      const attributes = linux.xattrs(fd, "").filter(([name]) => isCopied(name));
      let digest: Uint8Array = NO_ATTRIBUTES;
      if ((before.mode & S_IFMT) === S_IFREG) {
        const hash = new Bun.SHA256();
        buffer ??= new Uint8Array(CHUNK);
        for (let length = linux.read(fd, buffer); length > 0; length = linux.read(fd, buffer)) {
          hash.update(buffer.subarray(0, length));
          if (length < buffer.length && length >= before.size) break; // a small file, read whole
        }
        digest = hash.digest() as Uint8Array;
      }
      if (attributes.length > 0) {
        const hash = new Bun.SHA256();
        hash.update(digest);
        for (const [name, value] of attributes) hash.update(`${name}\0${value.length}\0`).update(value);
        digest = hash.digest() as Uint8Array;
      }
      node.stat = before; // what the digest is of
      tree.index?.put(before, digest, readAt);
      return digest;
    } finally {
      linux.close(fd);
    }
  }

  /** Of one file by itself. `directoryFd` gives a descriptor of its directory, opened when it is needed. */
  function own(node: TreeNode, directoryFd: (() => number) | undefined): string {
    const known = ownMemo.get(node);
    if (known !== undefined) return known;
    const type = node.stat.mode & S_IFMT;
    let content = "";
    if (type === S_IFREG || type === S_IFDIR) {
      content = Buffer.from(tree.index?.get(node.stat) ?? read(node, directoryFd?.())).toString("hex");
    } else if (type === S_IFLNK) {
      const target = directoryFd === undefined ? tree.readlink(node) : linux.readlinkat(directoryFd(), node.name);
      content = JSON.stringify(target);
    } else if (type === S_IFCHR || type === S_IFBLK) {
      content = `${node.stat.rdevMajor},${node.stat.rdevMinor}`;
    }
    const owner = tree.rootOwned ? "0:0" : `${node.stat.uid}:${node.stat.gid}`;
    const text = `${node.stat.mode.toString(8)} ${owner} ${content}${time(node)}`;
    ownMemo.set(node, text);
    return text;
  }

  function time({ stat }: TreeNode): string {
    return epoch === undefined ? "" : ` @${Math.min(stat.mtimeSec, epoch)}`;
  }

  function contents(node: TreeNode, base: string, selected: Selected | undefined): string {
    const children = tree.children(node);
    if (children.length === 0) return "empty";
    const lines: string[] = [];
    // Files are opened by their directory's descriptor, and that only when one has to be read.
    let fd: number | undefined;
    const directoryFd = (): number => {
      fd ??= tree.open(node);
      return fd;
    };
    try {
      for (const child of children) {
        const path = base === "" ? child.name : `${base}/${child.name}`;
        const directory = (child.stat.mode & S_IFMT) === S_IFDIR;
        const verdict = selected?.filter.visit(selected.state, path);
        const inside =
          verdict === undefined ? undefined : { filter: (selected as Selected).filter, state: verdict.state };
        if (verdict?.keep !== false) {
          lines.push(`${child.name}\0${whole(child, path, inside, directoryFd)}`);
        } else if (directory && verdict.descend) {
          const below = contents(child, path, inside);
          if (below !== "empty") lines.push(`${child.name}\0below ${below}`);
        }
      }
    } finally {
      if (fd !== undefined) linux.close(fd);
    }
    if (lines.length === 0) return "empty";
    return new Bun.SHA256().update(lines.join("\n")).digest("hex");
  }

  function whole(
    node: TreeNode,
    base: string,
    selected: Selected | undefined,
    directoryFd: (() => number) | undefined,
  ): string {
    const known = selected === undefined ? memo.get(node) : undefined;
    if (known !== undefined) return known;
    const directory = (node.stat.mode & S_IFMT) === S_IFDIR;
    const self = own(node, directoryFd);
    if (!directory) return self;
    const text = `${self} ${contents(node, base, selected)}`;
    if (selected === undefined) memo.set(node, text);
    return text;
  }

  function list(node: TreeNode, base: string, selected: Selected | undefined, into: string[]): void {
    for (const child of tree.children(node)) {
      const path = base === "" ? child.name : `${base}/${child.name}`;
      const verdict = selected?.filter.visit(selected.state, path);
      if (verdict?.keep !== false) into.push(path, own(child, undefined));
      if ((child.stat.mode & S_IFMT) !== S_IFDIR || (verdict?.keep === false && !verdict.descend)) continue;
      list(child, path, verdict && { filter: (selected as Selected).filter, state: verdict.state }, into);
    }
  }

  return {
    describe: (node) => own(node, undefined),
    list(node, { contentsOnly = false, selection } = {}) {
      const directory = (node.stat.mode & S_IFMT) === S_IFDIR;
      const into = contentsOnly && directory ? [] : [".", own(node, undefined)];
      const selected = selection === undefined ? undefined : { filter: selection, state: selection.root() };
      if (directory) list(node, "", selected, into);
      return into;
    },
    digest(node, options = {}) {
      const { contentsOnly = false, selection } = options;
      const directory = (node.stat.mode & S_IFMT) === S_IFDIR;
      const selected = selection === undefined ? undefined : { filter: selection, state: selection.root() };
      const text =
        contentsOnly && directory
          ? `${contents(node, "", selected)}${time(node)}`
          : whole(node, "", selected, undefined);
      return new Bun.SHA256().update(text).digest("hex");
    },
  };
}
