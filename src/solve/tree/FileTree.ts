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
import type { Linux, Stat } from "../../linux/Linux.ts";
import type { StatIndex } from "./statIndex.ts";

/** One file of a tree. There may be a million of them: what can be derived is not kept. */
export class TreeNode {
  /** Known to have no extended attributes that COPY takes, as long as it is what `stat` says. */
  bare = false;

  constructor(
    readonly name: string,
    public stat: Stat,
    readonly parent: TreeNode | undefined,
  ) {}

  /** Relative to the tree's root, "" for the root. */
  get path(): string {
    if (this.parent === undefined) return "";
    return this.parent.parent === undefined ? this.name : `${this.parent.path}/${this.name}`;
  }

  get isDirectory(): boolean {
    return (this.stat.mode & S_IFMT) === S_IFDIR;
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
  readlink(node: TreeNode): string;
  /** A descriptor of the file or directory, to be closed by the caller. @throws where it is no longer what it was. */
  open(node: TreeNode): number;
  /** Digests of files by their stat, where there is an index. */
  readonly index: StatIndex | undefined;
  close(): void;
}

const MAX_LINKS = 255;

export function createFileTree<State>(
  linux: Linux,
  rootFd: number,
  options: { filter?: TreeFilter<State>; rootOwned?: boolean; index?: StatIndex } = {},
): FileTree {
  const filter = options.filter as TreeFilter | undefined;
  const root = new TreeNode("", linux.statat(rootFd, ""), undefined);
  const loaded = new Map<TreeNode, TreeNode[]>();
  const byName = new Map<TreeNode, Map<string, TreeNode>>();
  const states = new Map<TreeNode, unknown>([[root, filter?.root()]]);

  function openNode(node: TreeNode, flags: number): number {
    if (node === root) return linux.openat(rootFd, ".", flags | O_DIRECTORY);
    return linux.openat2(rootFd, node.path, { flags: flags | O_NOFOLLOW, resolve: RESOLVE_NO_SYMLINKS });
  }

  function load(node: TreeNode): TreeNode[] {
    const known = loaded.get(node);
    if (known !== undefined) return known;
    const found = node.isDirectory ? read(node) : [];
    loaded.set(node, found);
    return found;
  }

  function read(node: TreeNode): TreeNode[] {
    const fd = openNode(node, O_RDONLY | O_DIRECTORY);
    let found: TreeNode[];
    try {
      found =
        filter === undefined
          ? linux.readdirStats(fd).map(({ name, stat }) => new TreeNode(name, stat, node))
          : readFiltered(filter, node, fd);
    } finally {
      linux.close(fd);
    }
    return found.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  }

  function readFiltered(filter: TreeFilter, node: TreeNode, fd: number): TreeNode[] {
    const state = states.get(node);
    const base = node === root ? "" : `${node.path}/`;
    const verdicts = new Map<string, { keep: boolean; state: unknown }>();
    const entries = linux.readdirStats(fd, (name) => {
      const verdict = filter.visit(state, base + name);
      if (verdict.keep || verdict.descend) verdicts.set(name, verdict);
      return verdict.keep || verdict.descend;
    });
    const found: TreeNode[] = [];
    for (const { name, stat } of entries) {
      const verdict = verdicts.get(name) as { keep: boolean; state: unknown };
      const child = new TreeNode(name, stat, node);
      if (child.isDirectory) {
        states.set(child, verdict.state);
        // An ignored directory is there only as the way to an exception below it.
        if (!verdict.keep && load(child).length === 0) continue;
      } else if (!verdict.keep) continue;
      found.push(child);
    }
    return found;
  }

  function child(node: TreeNode, name: string): TreeNode | undefined {
    let names = byName.get(node);
    if (names === undefined) {
      names = new Map(load(node).map((each) => [each.name, each]));
      byName.set(node, names);
    }
    return names.get(name);
  }

  function readlink(node: TreeNode): string {
    if (node.parent === root) return linux.readlinkat(rootFd, node.name);
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
    index: options.index,
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
    children: load,
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
    },
  };
}

/** Extended attributes that belong to a file's content: not the labels and marks that the host's own machinery keeps in them. */
export function isCopied(name: string): boolean {
  return !/^(trusted|user)\.overlay\./.test(name) && name !== "security.selinux" && !name.startsWith("system.");
}
