import { expect, test } from "bun:test";
import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { withTempDirectory } from "../../../test/support/tempDirectory.ts";
import { encodePath } from "../../linux/pathBytes.ts";
import type { FileList } from "./entries.ts";
import { fileChanges, fileDifferences } from "./fileChanges.ts";
import { keepFileList, readFileList } from "./fileList.ts";

const FILE = `100644 0:0 ${"0".repeat(64)}`;
const OTHER = `100644 0:0 ${"1".repeat(64)}`;
const DIRECTORY = `40755 0:0 ${"0".repeat(64)}`;

/** A list in pieces of so many files, each of which is only there until the next. */
function* listOf(files: readonly string[], perPiece = 3): FileList {
  for (let at = 0; at < files.length; at += 2 * perPiece) {
    const text = files.slice(at, at + 2 * perPiece).map((each) => `${each}\0`);
    const piece = encodePath(text.join(""));
    yield { hash: Bun.hash.xxHash64(piece), bytes: () => piece };
    piece.fill(0xff);
  }
}

test("lists are held against each other in the order of a walk, several at once, and say what was added, removed or changed", () => {
  const now = [".", DIRECTORY, "!x", FILE, "a", DIRECTORY, "a/b", FILE, "a/c", OTHER, "a.b", FILE, "\udcff", FILE];
  const earlier = [
    now,
    [".", DIRECTORY, "a", DIRECTORY, "a/b", FILE, "a/bb", FILE, "a/c", FILE, "a.b", FILE, "zz", FILE],
    [],
    // The order of another version: what is only in another place has not changed.
    [".", DIRECTORY, "a.b", OTHER, "a", DIRECTORY, "a/b", FILE, "a/c", OTHER, "\udcff", FILE, "!x", FILE],
  ];
  const lists = earlier.map((list, i) => listOf(list, 1 + i));
  const changes = fileChanges(lists, listOf(now)).map((list) => list?.map(({ path, change }) => `${change} ${path}`));
  expect(changes).toEqual([
    [],
    ["added !x", "removed a/bb", "changed a/c", "removed zz", "added \udcff"],
    ["!x", ".", "a", "a.b", "a/b", "a/c", "\udcff"].map((path) => `added ${path}`),
    ["changed a.b"],
  ]);
});

test("a list of any length is kept as it was, and one that was cut short, or is none, explains nothing and harms no other", () =>
  withTempDirectory((root) => {
    const list = (count: number) =>
      listOf(
        Array.from({ length: 2 * count }, (_, i) => (i % 2 === 0 ? `é${1e6 + i}` : `${FILE}${i}`)),
        4000,
      );
    const bytesOf = (pieces: FileList) => Buffer.concat(Array.from(pieces, (piece) => piece.bytes().slice()));
    for (const count of [0, 1, 20_000]) {
      keepFileList(root, `d${count}`, () => list(count));
      expect(bytesOf(readFileList(root, `d${count}`) ?? [])).toEqual(bytesOf(list(count)));
    }
    expect(readFileList(root, "none")).toBeUndefined();
    keepFileList(root, "cut", () => list(20_000));
    truncateSync(join(root, "trees/cut"), readFileSync(join(root, "trees/cut")).length - 4);
    writeFileSync(join(root, "trees/old"), Bun.zstdCompressSync(Buffer.from("a\0b")));
    const read = (digest: string) => readFileList(root, digest) as FileList;
    expect(fileChanges([read("cut"), read("old"), read("d20000")], list(20_000))).toEqual([undefined, undefined, []]);
    expect(fileChanges([read("d20000")], read("cut"))).toEqual([undefined]);
  }));

test("a time in a file's text, which an epoch adds, is told apart from what the file holds, in links too", () => {
  const link = (time: number) => `120777 0:0 "a @7" @${time}`;
  expect(fileDifferences(link(5), link(5))).toEqual([]);
  expect(fileDifferences(link(5), link(65))).toEqual([
    { what: "time", old: "1970-01-01T00:00:05.000Z", new: "1970-01-01T00:01:05.000Z" },
  ]);
  const file = `100644 0:0 ${"0".repeat(64)}`;
  expect(fileDifferences(`${file} @5`, `${file.replace("644", "600")} @5`)).toEqual([
    { what: "mode", old: "644", new: "600" },
  ]);
});
