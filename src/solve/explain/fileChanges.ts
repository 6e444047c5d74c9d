import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from "../../linux/constants.ts";

/** One respect in which a file is not what it was. Contents are digests (hex). */
export interface FileDifference {
  what: "content" | "mode" | "owner" | "link" | "device" | "type" | "time";
  old: string;
  new: string;
}

export interface FileChange {
  path: string;
  change: "added" | "removed" | "changed";
  /** Of a changed file. */
  differences?: FileDifference[];
}

/**
 * What changed since each of the earlier lists of files (path, text, path, text …), in the order of the paths; undefined where a list is damaged.
 * All lists are read once, side by side, and are in the order of a walk: none is ever whole in memory.
 */
export function fileChanges(earlier: readonly Iterable<string>[], now: Iterable<string>): (FileChange[] | undefined)[] {
  const comparisons = earlier.map((list) => createComparison(list[Symbol.iterator]()));
  try {
    const current = now[Symbol.iterator]();
    for (let path = current.next(); path.done !== true; path = current.next()) {
      const text = current.next().value as string;
      for (const each of comparisons) each.now(path.value, text);
    }
    return comparisons.map((each) => each.end());
  } catch (error) {
    if (error instanceof DamagedList) return earlier.map(() => undefined);
    throw error;
  } finally {
    for (const each of comparisons) each.close();
  }
}

/** One earlier list beside the files as they are. */
function createComparison(list: Iterator<string>) {
  const changes: FileChange[] = [];
  const added = new Map<string, string>();
  const removed = new Map<string, string>();
  let damaged = false;
  let path: string | undefined;
  let text = "";

  function next(): void {
    try {
      path = list.next().value as string | undefined;
      if (path !== undefined) text = list.next().value as string;
    } catch (error) {
      if (!(error instanceof DamagedList)) throw error;
      damaged = true;
      path = undefined;
    }
  }

  function compare(before: string, now: string, at: string): void {
    if (before !== now) changes.push({ path: at, change: "changed", differences: fileDifferences(before, now) });
  }

  next();
  return {
    now(at: string, is: string): void {
      if (damaged) return;
      while (path !== undefined && path !== at && isBefore(path, at)) {
        removed.set(path, text);
        next();
      }
      if (path !== at) {
        added.set(at, is);
        return;
      }
      compare(text, is, at);
      next();
    },
    end(): FileChange[] | undefined {
      for (; path !== undefined; next()) removed.set(path, text);
      if (damaged) return undefined;
      // Where two lists are not in quite the same order, a file is missed in one place and found in another.
      for (const [at, is] of added) {
        const was = removed.get(at);
        if (was === undefined) changes.push({ path: at, change: "added" });
        else compare(was, is, at);
        removed.delete(at);
      }
      for (const at of removed.keys()) changes.push({ path: at, change: "removed" });
      return changes.sort((a, b) => (a.path < b.path ? -1 : 1));
    },
    close: () => void list.return?.(),
  };
}

/** A list that cannot be read to its end. */
export class DamagedList extends Error {}

/** In a walk, what is in a directory comes before its longer neighbours: `a/b`, then `a.b`. The root is ".". */
function isBefore(a: string, b: string): boolean {
  if (a === ".") return true;
  if (b === ".") return false;
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return x === SLASH || (y !== SLASH && x < y);
  }
  return a.length < b.length;
}

const SLASH = 0x2f;

const TYPES: Record<number, string> = {
  [S_IFREG]: "file",
  [S_IFDIR]: "directory",
  [S_IFLNK]: "link",
  [S_IFCHR]: "character device",
  [S_IFBLK]: "block device",
};

/** Between two texts of one file, `mode owner content`, and with an epoch ` @time`. */
export function fileDifferences(before: string, now: string): FileDifference[] {
  const old = parse(before);
  const current = parse(now);
  if (old.type !== current.type)
    return [{ what: "type", old: TYPES[old.type] ?? "special file", new: TYPES[current.type] ?? "special file" }];
  const differences: FileDifference[] = [];
  const compare = (what: FileDifference["what"], a: string, b: string): void => {
    if (a !== b) differences.push({ what, old: a, new: b });
  };
  const type = TYPES[current.type];
  const link = type === "link";
  compare(link ? "link" : type?.endsWith("device") === true ? "device" : "content", old.content, current.content);
  compare("mode", old.mode, current.mode);
  compare("owner", old.owner, current.owner);
  compare("time", old.time, current.time);
  return differences;
}

function parse(text: string): { type: number; mode: string; owner: string; content: string; time: string } {
  const [, own = text, time = ""] = /^(.*) @(-?\d+)$/s.exec(text) ?? [];
  const [mode = "", owner = "", ...content] = own.split(" ");
  const bits = Number.parseInt(mode, 8);
  const rest = content.join(" ");
  return {
    type: bits & S_IFMT,
    mode: (bits & 0o7777).toString(8).padStart(3, "0"),
    owner,
    content: rest.startsWith('"') ? (JSON.parse(rest) as string) : rest,
    time: time === "" ? "" : new Date(Number(time) * 1000).toISOString(),
  };
}
