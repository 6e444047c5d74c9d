import { AT_FDCWD, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from "../linux/constants.ts";
import type { Linux } from "../linux/Linux.ts";
import { isPrivateAttribute, opaqueAttribute, isWhiteout } from "./overlayForm.ts";

const BUFFER = 256 * 1024;

/**
 * Whether two layers' directories have the same content: names, types, modes, owners, link targets, devices, attributes, opaque marks, hard
 * links among themselves, and bytes. Times do not count.
 */
export function sameContent(linux: Linux, one: string, two: string): boolean {
  const a = new Uint8Array(BUFFER);
  const b = new Uint8Array(BUFFER);
  const links = new Map<number, number>();

  function directories(fdA: number, fdB: number): boolean {
    const names = linux
      .readdir(fdA)
      .map((entry) => entry.name)
      .sort();
    const others = linux
      .readdir(fdB)
      .map((entry) => entry.name)
      .sort();
    if (names.length !== others.length || names.some((name, i) => name !== others[i])) return false;
    return names.every((name) => entries(fdA, fdB, name));
  }

  function entries(fdA: number, fdB: number, name: string): boolean {
    const statA = linux.statat(fdA, name);
    const statB = linux.statat(fdB, name);
    const type = statA.mode & S_IFMT;
    // Mode and owner of a whiteout are by chance (a setgid parent hands down its group) and in no tar.
    if (isWhiteout(statA) && isWhiteout(statB)) return true;
    if (statA.mode !== statB.mode || statA.uid !== statB.uid || statA.gid !== statB.gid) return false;
    if (type !== S_IFDIR) {
      if (statA.nlink !== statB.nlink) return false;
      if (statA.nlink > 1) {
        const linked = links.get(statA.ino);
        if (linked !== undefined) return linked === statB.ino;
        links.set(statA.ino, statB.ino);
      }
    }
    if (type === S_IFLNK) return linux.readlinkat(fdA, name) === linux.readlinkat(fdB, name);
    if (type !== S_IFREG && type !== S_IFDIR) {
      return statA.rdevMajor === statB.rdevMajor && statA.rdevMinor === statB.rdevMinor;
    }
    if (type === S_IFREG && statA.size !== statB.size) return false;
    const flags = O_RDONLY | O_NOFOLLOW | (type === S_IFDIR ? O_DIRECTORY : 0);
    const openA = linux.openat(fdA, name, flags);
    const openB = linux.openat(fdB, name, flags);
    try {
      if (attributes(openA) !== attributes(openB)) return false;
      return type === S_IFDIR ? directories(openA, openB) : bytes(openA, openB);
    } finally {
      linux.close(openA);
      linux.close(openB);
    }
  }

  function attributes(fd: number): string {
    const kept = linux.xattrs(fd, "").filter(([name]) => !isPrivateAttribute(name) || name === opaqueAttribute(linux));
    return JSON.stringify(kept.map(([name, value]) => [name, Buffer.from(value).toString("hex")]));
  }

  function bytes(fdA: number, fdB: number): boolean {
    for (;;) {
      const length = linux.read(fdA, a);
      let other = 0;
      while (other < length) {
        const got = linux.read(fdB, b.subarray(other, length));
        if (got === 0) return false;
        other += got;
      }
      if (length === 0) return linux.read(fdB, b) === 0;
      if (Buffer.compare(a.subarray(0, length), b.subarray(0, length)) !== 0) return false;
    }
  }

  const fdA = linux.openat(AT_FDCWD, one, O_RDONLY | O_DIRECTORY);
  const fdB = linux.openat(AT_FDCWD, two, O_RDONLY | O_DIRECTORY);
  try {
    return directories(fdA, fdB);
  } finally {
    linux.close(fdA);
    linux.close(fdB);
  }
}
