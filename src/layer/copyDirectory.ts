import { AT_FDCWD, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, S_IFDIR, S_IFMT } from "../linux/constants.ts";
import type { Linux } from "../linux/Linux.ts";
import { copyAttributes, copyEntry } from "./copyEntry.ts";
import { isOverlayAttribute, opaqueAttribute } from "./overlayForm.ts";

/**
 * Copies what is in the directory `from` (a descriptor) into the existing directory `to`, which takes over its mode, owner and times:
 * owners, modes, times, xattrs, links, devices, and which files are one by hard links. Symbolic links are copied, never followed.
 * Overlayfs's own marks are left out.
 */
export function copyDirectory(linux: Linux, from: number, to: string): void {
  copyTo(linux, from, to, (name) => !isOverlayAttribute(name));
}

/** The same with overlayfs's marks (whiteouts, opaque directories): a writable layer stays one. */
export function copyTree(linux: Linux, from: number, to: string): void {
  copyTo(linux, from, to, (name) => !isOverlayAttribute(name) || name === opaqueAttribute(linux));
}

interface Copy {
  isCopied: (xattr: string) => boolean;
  /** Directory descriptor of the copy's root. */
  root: number;
  /** Inode with more than one name → path of its first copy below `root`. */
  links: Map<string, string>;
}

function copyTo(linux: Linux, from: number, to: string, isCopied: (xattr: string) => boolean): void {
  const root = linux.openat(AT_FDCWD, to, O_RDONLY | O_DIRECTORY);
  try {
    copyInto(linux, { isCopied, root, links: new Map() }, from, root, "");
  } finally {
    linux.close(root);
  }
}

function copyInto(linux: Linux, copy: Copy, from: number, to: number, path: string): void {
  const source = linux.statat(from, "");
  for (const { name } of linux.readdir(from)) {
    const stat = linux.statat(from, name);
    if ((stat.mode & S_IFMT) === S_IFDIR) {
      linux.mkdirat(to, name, 0o700);
      const below = linux.openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      try {
        const made = linux.openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        try {
          copyInto(linux, copy, below, made, `${path}${name}/`);
        } finally {
          linux.close(made);
        }
      } finally {
        linux.close(below);
      }
      continue;
    }
    if (stat.nlink > 1) {
      const key = `${stat.dev}:${stat.ino}`;
      const first = copy.links.get(key);
      if (first !== undefined) {
        linux.linkat(copy.root, first, to, name);
        continue;
      }
      copy.links.set(key, `${path}${name}`);
    }
    copyEntry(linux, { from, to, name, stat, isCopied: copy.isCopied });
  }
  copyAttributes(linux, from, to, source, copy.isCopied);
}
