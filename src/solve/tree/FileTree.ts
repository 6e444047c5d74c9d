import {
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  O_PATH,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_SYMLINKS,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
} from "../../linux/constants.ts";
import type { Linux } from "../../linux/Linux.ts";
import { decodePath, encodePath } from "../../linux/pathBytes.ts";
import { createFileTable, FileRow, type FileStat, type FileTable } from "./fileTable.ts";
import { createKnownDigests, type KnownDigests } from "./knownDigests.ts";

/** One file of a tree: a view of its row, made anew whenever one is asked for. */
export class TreeNode extends FileRow {
  readonly files: FileTable;

  constructor(files: FileTable, row: number) {
    super(files.blocks, row);
    this.files = files;
  }

  get name(): string {
    const { nameBytes, nameStart, nameLength } = this;
    const end = nameStart + nameLength;
    for (let at = nameStart; at < end; at++)
      if ((nameBytes[at] as number) > 0x7f) return decodePath(nameBytes.subarray(nameStart, end));
    return nameBytes.toString("latin1", nameStart, end);
  }

  /** What it was when it was last looked at. */
  get stat(): FileStat {
    return this;
  }

  get parent(): TreeNode | undefined {
    const { parentRow } = this;
    return parentRow < 0 ? undefined : new TreeNode(this.files, parentRow);
  }

  /** Relative to the tree's root, "" for the root. */
  get path(): string {
    const { parent, name } = this;
    return parent === undefined || parent.row === 0 ? name : `${parent.path}/${name}`;
  }

  get isDirectory(): boolean {
    return (this.mode & S_IFMT) === S_IFDIR;
  }
}

/** Decides which paths of a directory on disk belong to the tree (an ignore file). Called from the top down. */
export interface TreeFilter<State = unknown> {
  root(): State;
  /** `keep`: the path is in the tree. `descend`: something below it may be, whether it is itself or not. */
  visit(state: State, path: string): { keep: boolean; descend: boolean; state: State };
}

/**
 * A read-only tree of files to copy from: a build context, the file system of a stage, what an ADD fetched. Directories are
 * read once and lazily; symbolic links never lead out. The tree is what it was when it was first looked at: a file that changes
 * while a build runs is found out by its stat when it is copied.
 */
export interface FileTree {
  readonly root: TreeNode;
  /** True where the owner of every file counts as 0:0, as for local contexts. */
  readonly rootOwned: boolean;
  /** The file at `path` (relative, or absolute from the tree's root); parents' links are followed, the last one when `follow`. */
  lookup(path: string, follow: boolean): TreeNode | undefined;
  /** Something is at that path, and the tree's filter leaves it out. */
  leavesOut(path: string): boolean;
  /** Sorted by name, as bytes compare. */
  children(node: TreeNode): readonly TreeNode[];
  /** All files that were looked at yet, the root first. */
  readonly files: FileTable;
  /** Reads the directory of this row, where it was not read yet; how many files it has. */
  load(row: number): number;
  readlink(node: TreeNode): string;
  /** A descriptor of the file or directory, to be closed by the caller. @throws where it is no longer what it was. */
  open(node: TreeNode): number;
  /** What is known of the files' contents. */
  readonly digests: KnownDigests;
  close(): void;
}

const MAX_LINKS = 255;

/** With `index`, a file, the digests of the tree's files are known from the last time and can be kept for the next. */
export function createFileTree<State>(
  linux: Linux,
  rootFd: number,
  options: { filter?: TreeFilter<State>; rootOwned?: boolean; index?: string } = {},
): FileTree {
  const filter = options.filter as TreeFilter | undefined;
  const files = createFileTable();
  files.add(new Uint8Array(0), 0, 0, linux.statat(rootFd, ""), -1);
  const root = new TreeNode(files, 0);
  const digests = createKnownDigests(files, options.index);
  const states = new Map<number, unknown>([[0, filter?.root()]]);
  /** Ignored directories: there only as the way to an exception below. */
  const ways = new Set<number>();

  function openNode(node: TreeNode, flags: number): number {
    if (node.row === 0) return linux.openat(rootFd, ".", flags | O_DIRECTORY);
    return linux.openat2(rootFd, node.path, { flags: flags | O_NOFOLLOW, resolve: RESOLVE_NO_SYMLINKS });
  }

  function load(row: number): number {
    const known = files.count(row);
    if (known >= 0) return known;
    const node = new TreeNode(files, row);
    if (node.isDirectory) read(node);
    else files.setChildren(row, 0, 0);
    return files.count(row);
  }

  function read(node: TreeNode): void {
    const fd = openNode(node, O_RDONLY | O_DIRECTORY);
    const first = files.length;
    const { row } = node;
    try {
      if (filter === undefined)
        linux.scanStats(fd, (bytes, start, end, stat) => void files.add(bytes, start, end, stat, row));
      else readFiltered(filter, node, fd);
    } finally {
      linux.close(fd);
    }
    const end = files.length;
    for (let child = first; child < end; child++) if (ways.has(child)) load(child);
    files.setChildren(row, first, end, (child) => ways.has(child) && files.count(child) === 0);
  }

  function readFiltered(filter: TreeFilter, node: TreeNode, fd: number): void {
    const state = states.get(node.row);
    const base = node.row === 0 ? "" : `${node.path}/`;
    let verdict = { keep: true, descend: true, state };
    linux.scanStats(
      fd,
      (bytes, start, end, stat) => {
        const directory = (stat.mode & S_IFMT) === S_IFDIR;
        if (!verdict.keep && !directory) return;
        const row = files.add(bytes, start, end, stat, node.row);
        if (directory) states.set(row, verdict.state);
        if (!verdict.keep) ways.add(row);
      },
      (name) => {
        verdict = filter.visit(state, base + name);
        return verdict.keep || verdict.descend;
      },
    );
  }

  function children(node: TreeNode): TreeNode[] {
    const count = load(node.row);
    return Array.from({ length: count }, (_, place) => new TreeNode(files, files.child(node.row, place)));
  }

  function child(node: TreeNode, name: string): TreeNode | undefined {
    if (load(node.row) === 0) return undefined;
    const row = files.find(node.row, encodePath(name));
    return row < 0 ? undefined : new TreeNode(files, row);
  }

  function readlink(node: TreeNode): string {
    if (node.parentRow === 0) return linux.readlinkat(rootFd, node.name);
    const directory = openNode(node.parent as TreeNode, O_RDONLY | O_DIRECTORY);
    try {
      return linux.readlinkat(directory, node.name);
    } finally {
      linux.close(directory);
    }
  }

  function lookup(path: string, follow: boolean): TreeNode | undefined {
    const rest = path.split("/").filter((part) => part !== "" && part !== ".");
    let node: TreeNode = root;
    let links = 0;
    while (rest.length > 0) {
      const name = rest.shift() as string;
      if (name === "..") {
        node = node.parent ?? root;
        continue;
      }
      const next = child(node, name);
      if (next === undefined) return undefined;
      const isLink = (next.stat.mode & S_IFMT) === S_IFLNK;
      if (isLink && (follow || rest.length > 0)) {
        if (++links > MAX_LINKS) return undefined;
        const target = readlink(next);
        if (target.startsWith("/")) node = root;
        rest.unshift(...target.split("/").filter((part) => part !== "" && part !== "."));
        continue;
      }
      node = next;
    }
    return node;
  }

  return {
    root,
    rootOwned: options.rootOwned ?? false,
    files,
    load,
    digests,
    lookup,
    leavesOut(path) {
      if (filter === undefined || lookup(path, true) !== undefined) return false;
      try {
        linux.close(linux.openat2(rootFd, path, { flags: O_PATH, resolve: RESOLVE_IN_ROOT }));
        return true;
      } catch {
        return false; // not there, whatever the reason
      }
    },
    children,
    readlink,
    open(node) {
      const fd = openNode(node, node.isDirectory ? O_RDONLY | O_DIRECTORY : O_RDONLY);
      const now = linux.statat(fd, "");
      if (now.ino === node.stat.ino && ((now.mode ^ node.stat.mode) & S_IFMT) === 0) return fd;
      linux.close(fd);
      throw new Error(`${node.path} was replaced while it was being read`);
    },
    close() {
      linux.close(rootFd);
      digests.close();
    },
  };
}

/** Extended attributes that belong to a file's content: not the labels and marks that the host's own machinery keeps in them. */
export function isCopied(name: string): boolean {
  return !/^(trusted|user)\.overlay\./.test(name) && name !== "security.selinux" && !name.startsWith("system.");
}
