import {
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_RDONLY,
  O_WRONLY,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
} from "../../linux/constants.ts";
import type { Linux, Timespec } from "../../linux/Linux.ts";
import { type NewFiles, newFiles } from "../../linux/newFiles.ts";
import { copyContents } from "../../layer/copyContents.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import type { FileStat } from "../tree/fileTable.ts";
import { type FileTree, isCopied, type TreeFilter, type TreeNode } from "../tree/FileTree.ts";
import type { LayerWriter, Owner } from "./layerWriter.ts";

export interface CopyAttributes {
  /** Replaces the owner of everything that is copied. */
  owner?: Owner;
  /** The mode that a file or directory gets, from the one it has; symbolic links are left alone. */
  mode?: (mode: number, directory: boolean) => number;
  /** Replaces the time of everything that is copied. */
  time?: Timespec;
  /** What is copied of a directory; hears paths relative to it. */
  selection?: TreeFilter;
}

export interface NodeCopier {
  /**
   * Copies a file, or a directory with all that is in it, to `to` (a path without links in the writer's tree; its parent exists).
   * With `merge`, an existing directory keeps its own mode and owner, as COPY's destination does; those below it take the
   * source's. Hard links among copied files stay links.
   */
  copy(node: TreeNode, to: string, merge: boolean): void;
  /** True when a source file was changed while it was copied: what was written is not what was digested. */
  changed(): boolean;
}

/** A directory of the source, relative to what is copied, and where the selection's walk is there. */
interface At {
  path: string;
  state: unknown;
}

const BUFFER = 256 * 1024;
const DEFAULT_ACL = "system.posix_acl_default";
/** From here on the kernel copies by itself; below, one read and one write are quicker. */
const LARGE = 128 * 1024;

export function createNodeCopier(
  linux: Linux,
  tree: FileTree,
  writer: LayerWriter,
  attributes: CopyAttributes,
): NodeCopier {
  const buffer = new Uint8Array(BUFFER);
  const links = new Map<number, string>();
  let made: NewFiles | "unknown" | undefined;
  let reflinks = true;
  let changed = false;

  function ownerOf(stat: FileStat): Owner {
    if (attributes.owner !== undefined) return attributes.owner;
    return tree.rootOwned ? { uid: 0, gid: 0 } : stat;
  }

  function timeOf(stat: FileStat): Timespec {
    return attributes.time ?? { sec: stat.mtimeSec, nsec: stat.mtimeNsec };
  }

  function modeOf(stat: FileStat, directory: boolean): number {
    const mode = stat.mode & 0o7777;
    return attributes.mode === undefined ? mode : attributes.mode(mode, directory);
  }

  function bytes(from: number, to: number, size: number): void {
    if (size >= LARGE) {
      if (reflinks && linux.reflink(from, to)) return;
      reflinks = false;
      copyContents(linux, from, to, size, buffer);
      return;
    }
    for (;;) {
      const length = linux.read(from, buffer);
      if (length === 0) return;
      linux.write(to, buffer, length);
      if (size < buffer.length && length === size) return;
    }
  }

  /** What files have that are made in the directory; undefined where it has a say in that itself. */
  function bornIn(directory: number): NewFiles | undefined {
    made ??= newFiles() ?? "unknown";
    if (made === "unknown" || linux.statat(directory, "").gid !== made.gid) return undefined;
    return linux.xattrs(directory, "").some(([key]) => key === DEFAULT_ACL) ? undefined : made;
  }

  /** As `leaf`, of a regular file. */
  function file(
    fromDirectory: number,
    node: TreeNode,
    toDirectory: number,
    to: string,
    name: string,
    born?: NewFiles,
  ): void {
    const from = linux.openat(fromDirectory, node.name, O_RDONLY | O_NOFOLLOW);
    try {
      const { mode, nlink, size } = node;
      const wanted = modeOf(node, false);
      // With 100,000 files every call counts: what a file has from its birth is not set again.
      const moded = born !== undefined && wanted <= 0o777 && (wanted & born.umask) === 0;
      const fd = linux.openat(toDirectory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, moded ? wanted : 0o600);
      try {
        if (size > 0) bytes(from, fd, size);
        const owner = ownerOf(node);
        if (owner.uid !== born?.uid || owner.gid !== born.gid) linux.fchownat(fd, "", owner.uid, owner.gid);
        if (!moded) linux.fchmod(fd, wanted);
        for (const [key, value] of linux.xattrs(from, "")) if (isCopied(key)) linux.setxattr(fd, "", key, value);
        linux.utimensat(fd, "", timeOf(node));
      } finally {
        linux.close(fd);
      }
      const after = linux.statat(from, "");
      if (
        after.size !== size ||
        after.mode !== mode ||
        after.ctimeSec !== node.ctimeSec ||
        after.ctimeNsec !== node.ctimeNsec
      ) {
        changed = true;
      }
      if (nlink > 1) links.set(node.ino, join(to, name));
    } finally {
      linux.close(from);
    }
  }

  /** Anything but a directory. The place, `name` in `toDirectory` (`to`, from the writer's root), is free. */
  function leaf(
    fromDirectory: number,
    node: TreeNode,
    toDirectory: number,
    to: string,
    name: string,
    born?: NewFiles,
  ): void {
    const type = node.mode & S_IFMT;
    const earlier = node.nlink > 1 ? links.get(node.ino) : undefined;
    if (earlier !== undefined) {
      linux.linkat(writer.root, earlier, toDirectory, name);
      return;
    }
    if (type === S_IFREG) {
      file(fromDirectory, node, toDirectory, to, name, born);
      return;
    }
    if (type === S_IFSOCK) return; // a socket has no content and no meaning without its process
    const owner = ownerOf(node);
    if (type === S_IFLNK) {
      linux.symlinkat(linux.readlinkat(fromDirectory, node.name), toDirectory, name);
      linux.fchownat(toDirectory, name, owner.uid, owner.gid);
    } else {
      linux.mknodat(toDirectory, name, type | 0o600, node.rdevMajor, node.rdevMinor);
      linux.fchownat(toDirectory, name, owner.uid, owner.gid);
      linux.fchmodat(toDirectory, name, modeOf(node, false));
    }
    linux.utimensat(toDirectory, name, timeOf(node));
  }

  function setDirectory(node: TreeNode, fd: number, fromFd: number): void {
    const owner = ownerOf(node);
    linux.fchownat(fd, "", owner.uid, owner.gid);
    linux.fchmod(fd, modeOf(node, true));
    for (const [key, value] of linux.xattrs(fromFd, "")) if (isCopied(key)) linux.setxattr(fd, "", key, value);
  }

  /** Into a directory that nothing is in, above or below: no look at what is there. */
  function intoFresh(node: TreeNode, fromFd: number, toFd: number, to: string, at: At): void {
    const born = bornIn(toFd);
    for (const child of tree.children(node)) {
      const directory = child.isDirectory;
      const inside = select(child, at, directory);
      if (inside === undefined) continue;
      if (!directory) {
        leaf(fromFd, child, toFd, to, child.name, born);
        continue;
      }
      const childFd = linux.openat(fromFd, child.name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      try {
        freshDirectory(child, childFd, toFd, join(to, child.name), inside);
      } finally {
        linux.close(childFd);
      }
    }
  }

  function freshDirectory(node: TreeNode, fromFd: number, parentFd: number, to: string, at: At): void {
    const name = to.slice(to.lastIndexOf("/") + 1);
    linux.mkdirat(parentFd, name, 0o700);
    const fd = linux.openat(parentFd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    try {
      intoFresh(node, fromFd, fd, to, at);
      setDirectory(node, fd, fromFd);
      linux.utimensat(fd, "", timeOf(node));
    } finally {
      linux.close(fd);
    }
  }

  /** Undefined for what is not copied. A directory counts when it is selected, or when something below it is. */
  function select(node: TreeNode, parent: At, directory: boolean): At | undefined {
    const { selection } = attributes;
    if (selection === undefined) return parent;
    const path = join(parent.path, node.name);
    const { keep, descend, state } = selection.visit(parent.state, path);
    const at = { path, state };
    if (keep) return at;
    if (!directory || !descend) return undefined;
    const some = tree.children(node).some((child) => select(child, at, child.isDirectory) !== undefined);
    return some ? at : undefined;
  }

  function merge(node: TreeNode, fromFd: number, to: string, at: At): void {
    const taken = writer.names(to);
    for (const child of tree.children(node)) {
      const target = join(to, child.name);
      const directory = child.isDirectory;
      const inside = select(child, at, directory);
      if (inside === undefined) continue;
      if (!directory) {
        if (taken.has(child.name)) writer.makeRoom(target);
        leaf(fromFd, child, writer.directory(to), to, child.name);
        continue;
      }
      const childFd = linux.openat(fromFd, child.name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      try {
        if (taken.has(child.name)) directoryInto(child, childFd, target, inside, false);
        else freshDirectory(child, childFd, writer.directory(to), target, inside);
      } finally {
        linux.close(childFd);
      }
    }
  }

  function directoryInto(node: TreeNode, fromFd: number, to: string, at: At, keep: boolean): void {
    const existing = writer.stat(to);
    if (existing !== undefined && (existing.mode & S_IFMT) !== S_IFDIR) {
      throw new SlipwayError(
        "NOT_A_DIRECTORY",
        `cannot copy the directory ${JSON.stringify(node.path)} to /${to}: it is not a directory there`,
      );
    }
    if (existing !== undefined) {
      const fd = writer.directory(to);
      merge(node, fromFd, to, at);
      if (!keep) setDirectory(node, fd, fromFd);
      return;
    }
    freshDirectory(node, fromFd, writer.directory(dirname(to)), to, at);
  }

  return {
    copy(node, to, keep) {
      links.clear();
      if (node.isDirectory) {
        const fromFd = tree.open(node);
        try {
          directoryInto(node, fromFd, to, { path: "", state: attributes.selection?.root() }, keep);
        } finally {
          linux.close(fromFd);
        }
        return;
      }
      const fromFd = tree.open(node.parent as TreeNode);
      try {
        writer.makeRoom(to);
        leaf(fromFd, node, writer.directory(dirname(to)), dirname(to), to.slice(to.lastIndexOf("/") + 1));
      } finally {
        linux.close(fromFd);
      }
    },
    changed: () => changed,
  };
}

function join(directory: string, name: string): string {
  return directory === "" ? name : `${directory}/${name}`;
}

function dirname(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}
