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

/** What changed between two lists of files (path, text, path, text …), in the order of the paths. */
export function fileChanges(before: readonly string[], now: readonly string[]): FileChange[] {
  // Most often almost all is the same: what both begin and end with needs no table.
  let start = 0;
  while (start < before.length && start < now.length && before[start] === now[start]) start++;
  start -= start % 2;
  let end = 0;
  while (
    end < before.length - start &&
    end < now.length - start &&
    before[before.length - 1 - end] === now[now.length - 1 - end]
  )
    end++;
  end -= end % 2;

  const old = new Map<string, string>();
  for (let at = start; at < before.length - end; at += 2) old.set(before[at] as string, before[at + 1] as string);
  const changes: FileChange[] = [];
  for (let at = start; at < now.length - end; at += 2) {
    const path = now[at] as string;
    const text = now[at + 1] as string;
    const was = old.get(path);
    old.delete(path);
    if (was === undefined) changes.push({ path, change: "added" });
    else if (was !== text) changes.push({ path, change: "changed", differences: fileDifferences(was, text) });
  }
  for (const path of old.keys()) changes.push({ path, change: "removed" });
  return changes.sort((a, b) => (a.path < b.path ? -1 : 1));
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
