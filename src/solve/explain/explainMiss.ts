import type { FileList } from "./entries.ts";
import { type FileChange, fileChanges, fileDifferences } from "./fileChanges.ts";
import type { KeyPart } from "./key.ts";

/** A part of a step's key that is not what it was; without `old` it is new, without `new` it is gone. */
export interface MissChange {
  /** `build argument V`, `command`, `base`, a path of the source. */
  part: string;
  old?: string;
  new?: string;
  /** Of a source: every file that changed. Absent where it is not known which. */
  files?: FileChange[];
}

/** Why a step ran: one sentence, and all of it. */
export interface Miss {
  reason: string;
  changes: MissChange[];
}

/** The files of a tree by its digest; undefined where they are not known (any more). */
export type FilesOf = (digest: string) => FileList | undefined;

/** What changed between two trees by their digests; undefined where it is not known. */
type ChangesOf = (old: string, now: string) => FileChange[] | undefined;

/** So many files stand in the sentence; `changes` has all. */
const NAMED = 3;
const TREE = /^tree ([0-9a-f]{64})/;
const FILE = /^file "(?:[^"\\]|\\.)*" (\d+ .*)$/s;

/** Value of a part that is a whole tree, respectively one file (`mode owner content`); `rest` is what else the copy depends on. */
export function treeValue(digest: string, rest = ""): string {
  return `tree ${digest}${rest === "" ? "" : `,${rest}`}`;
}
export function fileValue(text: string, rest = ""): string {
  return `file ${JSON.stringify(rest)} ${text}`;
}

/** Runs that differ in as few parts are told apart by their files, at most so many of them. */
const TIED = 3;

/**
 * Holds the parts against the nearest of the earlier runs of the same step (the latest first): the one with the fewest changes. Two builds that take turns
 * (of two values of an argument, say) are so explained by themselves.
 */
export function explainNearest(parts: readonly KeyPart[], earlier: readonly KeyPart[][], filesOf: FilesOf): Miss {
  const differing = earlier.map((each) => {
    const before = new Map(each);
    return each.length + parts.length - 2 * parts.filter(([name, value]) => before.get(name) === value).length;
  });
  const fewest = Math.min(...differing);
  const nearest = earlier.filter((_, i) => differing[i] === fewest).slice(0, TIED);
  const changesOf = compareTrees(parts, nearest, filesOf);
  const misses = nearest.map((each) => explainMiss(parts, each, changesOf));
  const size = ({ changes }: Miss): number => changes.reduce((sum, { files }) => sum + (files?.length ?? 1), 0);
  return (
    misses.reduce<Miss | undefined>((best, each) => (best && size(best) <= size(each) ? best : each), undefined) ?? {
      reason: "not built before",
      changes: [],
    }
  );
}

/** Compares every tree among the parts with what it was in the earlier runs, all of them at once: listing a tree is most of the work. */
function compareTrees(
  parts: readonly KeyPart[],
  earlier: readonly (readonly KeyPart[])[],
  filesOf: FilesOf,
): ChangesOf {
  const found = new Map<string, FileChange[] | undefined>();
  for (const [part, value] of parts) {
    const now = TREE.exec(value)?.[1];
    if (now === undefined) continue;
    const before = new Set<string>();
    for (const each of earlier) {
      const old = TREE.exec(each.find(([name]) => name === part)?.[1] ?? "")?.[1];
      if (old !== undefined && old !== now && !found.has(`${old} ${now}`)) before.add(old);
    }
    const lists = [...before].flatMap((old) => {
      const files = filesOf(old);
      return files === undefined ? [] : [{ old, files }];
    });
    const files = lists.length === 0 ? undefined : filesOf(now);
    if (files === undefined) continue;
    const changes = fileChanges(
      lists.map((each) => each.files),
      files,
    );
    for (const [i, { old }] of lists.entries()) found.set(`${old} ${now}`, changes[i]);
  }
  return (old, now) => found.get(`${old} ${now}`);
}

/** Holds the parts against those of an earlier run of the same step. */
function explainMiss(parts: readonly KeyPart[], earlier: readonly KeyPart[], changesOf: ChangesOf): Miss {
  const before = new Map(earlier);
  const now = new Map(parts);
  const changes: MissChange[] = [];
  for (const [part, value] of now) {
    const old = before.get(part);
    if (old !== value) changes.push(changeOf(part, old, value, changesOf));
  }
  for (const [part, old] of before) if (!now.has(part)) changes.push(changeOf(part, old, undefined, changesOf));
  if (changes.length === 0) return { reason: "its cached layer is gone", changes };
  return { reason: changes.map(sentence).join("; "), changes };
}

function changeOf(part: string, old: string | undefined, value: string | undefined, changesOf: ChangesOf): MissChange {
  const path = part.replace(/^archive /, "");
  const [wasFile, isFile] = [FILE.exec(old ?? ""), FILE.exec(value ?? "")];
  const [wasTree, isTree] = [TREE.exec(old ?? ""), TREE.exec(value ?? "")];
  if (wasTree !== null && isTree !== null && wasTree[1] !== isTree[1]) {
    const files = changesOf(wasTree[1] as string, isTree[1] as string);
    const digests = { part, old: `sha256:${wasTree[1]}`, new: `sha256:${isTree[1]}` };
    if (files === undefined) return digests;
    return { ...digests, files: files.map((each) => ({ ...each, path: below(path, each.path) })) };
  }
  if (wasFile !== null && isFile !== null) {
    const differences = fileDifferences(wasFile[1] as string, isFile[1] as string);
    if (differences.length > 0) return { part, files: [{ path, change: "changed", differences }] };
  }
  if (isFile !== null && old === undefined) return { part, files: [{ path, change: "added" }] };
  if (wasFile !== null && value === undefined) return { part, files: [{ path, change: "removed" }] };
  return { part, ...(old === undefined ? {} : { old }), ...(value === undefined ? {} : { new: value }) };
}

function below(directory: string, path: string): string {
  const at = directory.replace(/^files of mount /, "");
  return at === "." || at === "" ? path : `${at.replace(/\/$/, "")}/${path}`;
}

function sentence({ part, old, new: now, files }: MissChange): string {
  if (files !== undefined && files.length > 0) {
    const named = files.slice(0, NAMED).map(({ path, change }) => `${path} ${change}`);
    const more = files.length - named.length;
    return `${named.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
  }
  if (old === undefined) return `${part} is new`;
  if (now === undefined) return `${part} is gone`;
  return isOpaque(now) ? `${part} changed` : `${part}: ${shorten(old)} → ${shorten(now)}`;
}

/** Digests say nothing to a person. */
function isOpaque(value: string): boolean {
  return /^(sha256:)?[0-9a-f]{64}(,|$)/.test(value) || value.length > 200;
}

function shorten(value: string): string {
  return value.length > 60 ? `${value.slice(0, 57)}…` : value === "" ? "(empty)" : value;
}
