import { expect, test } from "bun:test";
import { statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { withTempDirectory } from "../../../test/support/tempDirectory.ts";
import { AT_FDCWD } from "../../linux/constants.ts";
import { createLinux } from "../../linux/createLinux.ts";
import type { Stat } from "../../linux/Linux.ts";
import { createFileTable, FileRow, type FileStat } from "./fileTable.ts";
import { createKnownDigests, type KnownDigests } from "./knownDigests.ts";

const linux = createLinux();
const digest = new Uint8Array(32).fill(7);

/** One build's look at a directory of these files. */
function open(directory: string, stats: readonly FileStat[]): { digests: KnownDigests; rows: FileRow[] } {
  const files = createFileTable();
  const root = linux.statat(AT_FDCWD, directory);
  files.add(new Uint8Array(0), 0, 0, root, -1);
  const rows = stats.map((stat, i) => {
    const name = Buffer.from(`f${String(i).padStart(3, "0")}`);
    return new FileRow(files.blocks, files.add(name, 0, name.length, stat, 0));
  });
  files.setChildren(0, 1, 1 + stats.length);
  return { digests: createKnownDigests(files, join(directory, "index")), rows };
}

function known(digests: KnownDigests, row: FileRow): Uint8Array | undefined {
  const into = new Uint8Array(40);
  return digests.get(row, into, 8) ? into.subarray(8) : undefined;
}

/** What is known of the files in a new build. */
function knownAgain(directory: string, stats: readonly FileStat[]): (Uint8Array | undefined)[] {
  const { digests, rows } = open(directory, stats);
  return rows.map((row) => known(digests, row));
}

/** A build that finds all of the files, in the order that is given, and keeps what it found. */
function record(directory: string, stats: readonly Stat[], digestOf: (i: number) => Uint8Array, readAt = soon()): void {
  const { digests, rows } = open(directory, stats);
  for (const [i, row] of rows.entries()) digests.put(row, digestOf(i), readAt);
  digests.save();
}

function soon(): number {
  return Date.now() + 1000;
}

function file(directory: string, name: string) {
  const path = join(directory, name);
  writeFileSync(path, name);
  return linux.statat(AT_FDCWD, path);
}

test("a file that has not changed since it was recorded is known again, in whatever order files are asked for", () =>
  withTempDirectory((directory) => {
    const stats = Array.from({ length: 200 }, (_, i) => file(directory, `f${i}`));
    const digestOf = (i: number) => new Uint8Array(32).fill(i);
    record(directory, stats, digestOf);
    const digests = stats.map((_, i) => digestOf(i));
    expect(knownAgain(directory, stats)).toEqual(digests);
    expect(knownAgain(directory, stats.toReversed())).toEqual(digests.toReversed());
    expect(knownAgain(directory, stats.slice(50))).toEqual(digests.slice(50));
  }));

test("any part of the stat that differs makes the file unknown", () =>
  withTempDirectory((directory) => {
    const stat = file(directory, "f");
    record(directory, [stat], () => digest);
    for (const part of ["ino", "size", "mtimeSec", "mtimeNsec", "ctimeSec", "ctimeNsec", "dev"] as const) {
      expect(knownAgain(directory, [{ ...stat, [part]: stat[part] + 1 }])).toEqual([undefined]);
    }
    expect(knownAgain(directory, [stat])).toEqual([digest]);
  }));

test("a file changed in the tick in which it was read is known to this build and not recorded", () =>
  withTempDirectory((directory) => {
    const [racy, sound] = [file(directory, "f"), file(directory, "g")];
    const { digests, rows } = open(directory, [racy, sound]);
    digests.put(rows[0] as FileRow, digest, racy.ctimeSec * 1000 + racy.ctimeNsec / 1e6 + 5);
    digests.put(rows[1] as FileRow, digest, soon());
    expect(rows.map((row) => known(digests, row))).toEqual([digest, digest]);
    digests.save();
    expect(knownAgain(directory, [racy, sound])).toEqual([undefined, digest]);
  }));

test("an index that was cut short counts as empty, and so does what is none", () =>
  withTempDirectory((directory) => {
    const stat = file(directory, "f");
    record(directory, [stat], () => digest);
    truncateSync(join(directory, "index"), 50);
    expect(knownAgain(directory, [stat])).toEqual([undefined]);
    writeFileSync(join(directory, "index"), "something else");
    expect(knownAgain(directory, [stat])).toEqual([undefined]);
  }));

test("files that are gone are forgotten, and what is all known writes nothing", () =>
  withTempDirectory((directory) => {
    const [one, two] = [file(directory, "one"), file(directory, "two")];
    record(directory, [one, two], () => digest);
    const modified = () => statSync(join(directory, "index")).ino;
    const before = modified();
    const same = open(directory, [one, two]);
    for (const row of same.rows) known(same.digests, row);
    same.digests.save();
    expect(modified()).toBe(before);
    const second = open(directory, [one]);
    known(second.digests, second.rows[0] as FileRow);
    second.digests.save();
    expect(modified()).not.toBe(before);
    expect(knownAgain(directory, [one, two])).toEqual([digest, undefined]);
  }));

test("what is new is recorded beside what is still true", () =>
  withTempDirectory((directory) => {
    const stats = Array.from({ length: 3000 }, (_, i) => ({ ...file(directory, "f"), ino: i + 1 }));
    const digestOf = (i: number) => new Uint8Array(32).fill(i);
    for (const part of [0, 1, 2]) {
      const { digests, rows } = open(directory, stats);
      for (const [i, row] of rows.entries()) {
        if (i % 3 < part) expect(known(digests, row)?.[0]).toBe(i % 256);
        else if (i % 3 === part) digests.put(row, digestOf(i), soon());
      }
      digests.save();
    }
    expect(knownAgain(directory, stats)).toEqual(stats.map((_, i) => digestOf(i)));
  }));
