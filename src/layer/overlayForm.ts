import { S_IFCHR, S_IFMT, S_IFSOCK } from "../linux/constants.ts";
import type { Linux, Stat } from "../linux/Linux.ts";
import { isErrno } from "../linux/LinuxError.ts";

/**
 * How overlayfs writes what a layer's tar says by `.wh.` names (kernel, Documentation/filesystems/overlayfs.rst, "whiteouts and
 * opaque directories"): a removed file is a character device 0:0, a directory that hides what is below has an attribute.
 */
export function opaqueAttribute(linux: Linux): string {
  return `${linux.overlayAttributes()}opaque`;
}
export const OPAQUE_VALUE: Uint8Array = Uint8Array.of(0x79); // "y"

/** Whether the directory hides what is below: other values ("x", Linux 6.8) say something else. `path` "" is `dirfd` itself. */
export function isOpaque(linux: Linux, dirfd: number, path: string): boolean {
  return linux.getxattr(dirfd, path, opaqueAttribute(linux))?.[0] === OPAQUE_VALUE[0];
}

/**
 * Stands in for a whiteout on a file system that takes none, as an overlay is one (the root of most containers): a socket, which no layer has, of a
 * mode that none has either. No overlay can be mounted of what lies there, so that it need mean nothing to the kernel.
 */
const STAND_IN = S_IFSOCK | 0o3001;

/** Says that a file below is removed. */
export function isWhiteout({ mode, rdevMajor, rdevMinor }: Stat): boolean {
  return ((mode & S_IFMT) === S_IFCHR && rdevMajor === 0 && rdevMinor === 0) || mode === STAND_IN;
}

export function makeWhiteout(linux: Linux, dirfd: number, name: string): void {
  try {
    linux.mknodat(dirfd, name, S_IFCHR, 0, 0);
  } catch (error) {
    if (!isErrno(error, "EPERM")) throw error;
    linux.mknodat(dirfd, name, S_IFSOCK, 0, 0);
    linux.fchmodat(dirfd, name, STAND_IN & 0o7777);
  }
}

export const WHITEOUT_PREFIX = ".wh.";
export const OPAQUE_NAME = ".wh..wh..opq";

/** Attributes that belong to the host's machinery and not to a file: never taken from a tar, never written into one. */
export function isPrivateAttribute(name: string): boolean {
  return isOverlayAttribute(name) || name.startsWith("system.") || name === "security.selinux";
}

/** What overlayfs keeps in attributes: marks of a layer's form, and in a plain tree of files nothing that may get into a layer. */
export function isOverlayAttribute(name: string): boolean {
  return name.startsWith("trusted.overlay.") || name.startsWith("user.overlay.");
}
