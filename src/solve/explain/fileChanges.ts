import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from "../../linux/constants.ts";

import {
  comparePaths,
  createEntries,
  DamagedList,
  type Entries,
  type FileList,
  type Piece,
  sameText,
} from "./entries.ts";

/** One respect in which a file is not what it was. Contents are digests (hex). */
export interface FileDifference {
  what: "content" | "mode" | "owner" | "link" | "device" | "type" | "time";
  old: string;
  new: string;
}

/** What changed of one file. */
export interface FileChange {
  path: string;
  change: "added" | "removed" | "changed";
  /** Of a changed file. */
  differences?: FileDifference[];
}

/**
 * What changed since each of the earlier lists of files, in the order of the paths; undefined where a list is damaged. All lists are read once, side
 * by side, and are in the order of a walk: none is ever whole in memory.
 */
export function fileChanges(earlier: readonly FileList[], now: FileList): (FileChange[] | undefined)[] {
  const comparisons = earlier.map((list) => createComparison(list));
  try {
    for (const piece of now) {
      const differing = comparisons.filter((each) => !each.same(piece));
      if (differing.length === 0) continue;
      const current = createEntries([piece]);
      while (current.next()) for (const each of differing) each.now(current);
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
function createComparison(list: FileList) {
  const changes: FileChange[] = [];
  const added = new Map<string, string>();
  const removed = new Map<string, string>();
  const before = createEntries(list);
  let damaged = false;
  /** `before` shows a file that is still to be compared. */
  let pending = false;

  function guarded(ask: () => boolean): boolean {
    try {
      return !damaged && ask();
    } catch (error) {
      if (!(error instanceof DamagedList)) throw error;
      damaged = true;
      return false;
    }
  }

  function next(): boolean {
    pending ||= guarded(before.next);
    return pending;
  }

  function compare(path: string, old: string, now: string): void {
    if (old !== now) changes.push({ path, change: "changed", differences: fileDifferences(old, now) });
  }

  return {
    /** Passes over a piece that both lists have. */
    same: (piece: Piece): boolean => !pending && guarded(() => before.skip(piece)),
    now(current: Entries): void {
      let order = 1;
      while (next()) {
        order = comparePaths(before, current);
        if (order >= 0) break;
        removed.set(before.path(), before.text());
        pending = false;
      }
      if (damaged) return;
      if (order !== 0) added.set(current.path(), current.text());
      else {
        if (!sameText(before, current)) compare(current.path(), before.text(), current.text());
        pending = false;
      }
    },
    end(): FileChange[] | undefined {
      for (; next(); pending = false) removed.set(before.path(), before.text());
      if (damaged) return undefined;
      // Where two lists are not in quite the same order, a file is missed in one place and found in another.
      for (const [path, now] of added) {
        const old = removed.get(path);
        if (old === undefined) changes.push({ path, change: "added" });
        else compare(path, old, now);
        removed.delete(path);
      }
      for (const path of removed.keys()) changes.push({ path, change: "removed" });
      return changes.sort((a, b) => (a.path < b.path ? -1 : 1));
    },
    close: before.close,
  };
}

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
