import { copyContents } from "../../layer/copyContents.ts";
import {
  AT_FDCWD,
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
} from "../../linux/constants.ts";
import { opaqueAttribute } from "../../layer/overlayForm.ts";
import type { Linux } from "../../linux/Linux.ts";

/**
 * Copies what is in the directory `from` (a descriptor) into the existing directory `to`, which takes over its mode, owner and times:
 * owners, modes, times, xattrs, links, devices, and which files are one by hard links. Symbolic links are copied, never followed.
 * Overlayfs's own marks are left out.
 */
export function copyDirectory(linux: Linux, from: number, to: string): void {
  copyTo(linux, from, to, (name) => !isOverlays(name));
}

/** The same with overlayfs's marks (whiteouts, opaque directories): a writable layer stays one. */
export function copyTree(linux: Linux, from: number, to: string): void {
  copyTo(linux, from, to, (name) => !isOverlays(name) || name === opaqueAttribute(linux));
}

function isOverlays(name: string): boolean {
  return name.startsWith("trusted.overlay.") || name.startsWith("user.overlay.");
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
    const type = stat.mode & S_IFMT;
    if (type === S_IFDIR) {
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
    if (type === S_IFREG) copyFile(linux, from, to, name, stat.size);
    else if (type === S_IFLNK) linux.symlinkat(linux.readlinkat(from, name), to, name);
    else linux.mknodat(to, name, stat.mode, stat.rdevMajor, stat.rdevMinor);
    linux.fchownat(to, name, stat.uid, stat.gid);
    if (type !== S_IFLNK) linux.fchmodat(to, name, stat.mode & 0o7777);
    for (const [key, value] of linux.xattrs(from, name)) if (copy.isCopied(key)) linux.setxattr(to, name, key, value);
    linux.utimensat(to, name, { sec: stat.mtimeSec, nsec: stat.mtimeNsec });
  }
  linux.fchownat(to, "", source.uid, source.gid);
  linux.fchmod(to, source.mode & 0o7777);
  for (const [key, value] of linux.xattrs(from, "")) if (copy.isCopied(key)) linux.setxattr(to, "", key, value);
  linux.utimensat(to, "", { sec: source.mtimeSec, nsec: source.mtimeNsec });
}

function copyFile(linux: Linux, from: number, to: number, name: string, size: number): void {
  const input = linux.openat(from, name, O_RDONLY | O_NOFOLLOW);
  try {
    const output = linux.openat(to, name, O_WRONLY | O_CREAT | O_EXCL, 0o600);
    try {
      if (linux.reflink(input, output)) return;
      copyContents(linux, input, output, size);
    } finally {
      linux.close(output);
    }
  } finally {
    linux.close(input);
  }
}
