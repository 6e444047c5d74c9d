import { AT_FDCWD, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from "../linux/constants.ts";
import type { Linux, Stat } from "../linux/Linux.ts";
import { isPrivateAttribute, opaqueAttribute, isWhiteout } from "./overlayForm.ts";

/** One path that two layers' directories do not have alike. */
export interface LayerDifference {
  /** Relative to the layer's root. */
  path: string;
  /** In words: `bytes from 12 on`, `mode 644 → 600`, `missing in the second`. Never empty. */
  what: string[];
}

const BUFFER = 256 * 1024;

/**
 * What differs between two layers' directories, in the order of their paths: all that goes into a tar. Times (whole seconds) count where
 * `times`. A directory that one of them does not have is one difference, whatever is in it. `roots`: the two are mounted root file systems of one store;
 * then a file that both have from the same layer is not read, and hard links do not count, as a mount counts links that it hides.
 */
export function* compareLayers(
  linux: Linux,
  one: string,
  two: string,
  { times, roots = false }: { times: boolean; roots?: boolean },
): Generator<LayerDifference> {
  const a = new Uint8Array(BUFFER);
  const b = new Uint8Array(BUFFER);
  const links = new Map<number, number>();

  function* directories(fdA: number, fdB: number, prefix: string): Generator<LayerDifference> {
    const namesA = new Set(linux.readdir(fdA).map(({ name }) => name));
    const namesB = new Set(linux.readdir(fdB).map(({ name }) => name));
    for (const name of [...new Set([...namesA, ...namesB])].sort()) {
      const path = prefix + name;
      if (!namesB.has(name)) yield { path, what: ["missing in the second"] };
      else if (!namesA.has(name)) yield { path, what: ["missing in the first"] };
      else yield* entries(fdA, fdB, name, path);
    }
  }

  function* entries(fdA: number, fdB: number, name: string, path: string): Generator<LayerDifference> {
    const statA = linux.statat(fdA, name);
    const statB = linux.statat(fdB, name);
    const type = statA.mode & S_IFMT;
    if ((statB.mode & S_IFMT) !== type) {
      yield { path, what: ["type"] };
      return;
    }
    if (roots && type === S_IFREG && sameInode(statA, statB)) return;
    const what = numbers(statA, statB);
    if (type === S_IFLNK && linux.readlinkat(fdA, name) !== linux.readlinkat(fdB, name)) what.push("link target");
    if (type !== S_IFDIR && type !== S_IFREG) {
      if (what.length > 0) yield { path, what };
      return;
    }
    const flags = O_RDONLY | O_NOFOLLOW | (type === S_IFDIR ? O_DIRECTORY : 0);
    const openA = linux.openat(fdA, name, flags);
    const openB = linux.openat(fdB, name, flags);
    try {
      if (type === S_IFREG) {
        const from = firstDifference(openA, openB);
        if (from !== undefined) what.unshift(`bytes from ${from} on`);
      }
      if (attributes(openA) !== attributes(openB)) what.push("extended attributes");
      if (what.length > 0) yield { path, what };
      if (type === S_IFDIR) yield* directories(openA, openB, `${path}/`);
    } finally {
      linux.close(openA);
      linux.close(openB);
    }
  }

  function numbers(x: Stat, y: Stat): string[] {
    if (isWhiteout(x) && isWhiteout(y)) return [];
    const what: string[] = [];
    const differ = (name: string, before: string | number, after: string | number): void => {
      if (before !== after) what.push(`${name} ${before} → ${after}`);
    };
    differ("mode", (x.mode & 0o7777).toString(8), (y.mode & 0o7777).toString(8));
    differ("owner", `${x.uid}:${x.gid}`, `${y.uid}:${y.gid}`);
    if ((x.mode & S_IFMT) !== S_IFDIR) {
      differ("device", `${x.rdevMajor}:${x.rdevMinor}`, `${y.rdevMajor}:${y.rdevMinor}`);
      if (!roots && (x.nlink > 1 || y.nlink > 1)) {
        const linked = links.get(x.ino);
        if (linked === undefined) links.set(x.ino, y.ino);
        if (x.nlink !== y.nlink || (linked !== undefined && linked !== y.ino)) what.push("hard links");
      }
    }
    if (times) differ("time", iso(x.mtimeSec), iso(y.mtimeSec));
    return what;
  }

  function attributes(fd: number): string {
    const kept = linux.xattrs(fd, "").filter(([name]) => !isPrivateAttribute(name) || name === opaqueAttribute(linux));
    return JSON.stringify(kept.map(([name, value]) => [name, Buffer.from(value).toString("hex")]));
  }

  /** Offset of the first byte that differs, or that one file has no more. */
  function firstDifference(fdA: number, fdB: number): number | undefined {
    for (let offset = 0; ; ) {
      const length = linux.read(fdA, a);
      let other = 0;
      while (other < length) {
        const got = linux.read(fdB, b.subarray(other, length));
        if (got === 0) break;
        other += got;
      }
      for (let i = 0; i < other; i++) if (a[i] !== b[i]) return offset + i;
      if (other < length) return offset + other;
      if (length === 0) return linux.read(fdB, b) === 0 ? undefined : offset;
      offset += length;
    }
  }

  const fdA = linux.openat(AT_FDCWD, one, O_RDONLY | O_DIRECTORY);
  const fdB = linux.openat(AT_FDCWD, two, O_RDONLY | O_DIRECTORY);
  try {
    yield* directories(fdA, fdB, "");
  } finally {
    linux.close(fdA);
    linux.close(fdB);
  }
}

function sameInode(x: Stat, y: Stat): boolean {
  return (
    x.ino === y.ino &&
    x.size === y.size &&
    x.mtimeSec === y.mtimeSec &&
    x.mtimeNsec === y.mtimeNsec &&
    x.ctimeSec === y.ctimeSec &&
    x.ctimeNsec === y.ctimeNsec
  );
}

function iso(seconds: number): string {
  const time = new Date(seconds * 1000);
  return Number.isNaN(time.getTime()) ? String(seconds) : time.toISOString().replace(".000Z", "Z");
}
