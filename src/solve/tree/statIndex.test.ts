import { expect, test } from "bun:test";
import { truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { withTempDirectory } from "../../../test/support/tempDirectory.ts";
import { AT_FDCWD } from "../../linux/constants.ts";
import { createLinux } from "../../linux/createLinux.ts";
import type { Stat } from "../../linux/Linux.ts";
import { openStatIndex, type StatIndex } from "./statIndex.ts";

const linux = createLinux();
const digest = new Uint8Array(32).fill(7);

function known(index: StatIndex, stat: Stat): Uint8Array | undefined {
  const into = new Uint8Array(40);
  return index.get(stat, into, 8) ? into.subarray(8) : undefined;
}

function file(directory: string, name: string) {
  const path = join(directory, name);
  writeFileSync(path, name);
  return linux.statat(AT_FDCWD, path);
}

test("a file that has not changed since it was recorded is known again", () =>
  withTempDirectory((directory) => {
    const stats = Array.from({ length: 200 }, (_, i) => file(directory, `f${i}`));
    const index = openStatIndex(join(directory, "index"));
    for (const [i, stat] of stats.entries()) index.put(stat, new Uint8Array(32).fill(i), Date.now() + 1000);
    index.save();
    const again = openStatIndex(join(directory, "index"));
    for (const [i, stat] of stats.entries()) expect(known(again, stat)).toEqual(new Uint8Array(32).fill(i));
  }));

test("any part of the stat that differs makes the file unknown", () =>
  withTempDirectory((directory) => {
    const stat = file(directory, "f");
    const index = openStatIndex(join(directory, "index"));
    index.put(stat, digest, Date.now() + 1000);
    index.save();
    const again = openStatIndex(join(directory, "index"));
    for (const part of ["ino", "size", "mtimeSec", "mtimeNsec", "ctimeSec", "ctimeNsec", "dev"] as const) {
      expect(known(again, { ...stat, [part]: stat[part] + 1 })).toBeUndefined();
    }
    expect(known(again, stat)).toEqual(digest);
  }));

test("a file changed in the tick in which it was read is not recorded", () =>
  withTempDirectory((directory) => {
    const stat = file(directory, "f");
    const index = openStatIndex(join(directory, "index"));
    index.put(stat, digest, stat.ctimeSec * 1000 + stat.ctimeNsec / 1e6 + 5);
    index.save();
    expect(known(openStatIndex(join(directory, "index")), stat)).toBeUndefined();
  }));

test("an index that was cut short counts as empty", () =>
  withTempDirectory((directory) => {
    const stat = file(directory, "f");
    const index = openStatIndex(join(directory, "index"));
    index.put(stat, digest, Date.now() + 1000);
    index.save();
    truncateSync(join(directory, "index"), 50);
    expect(known(openStatIndex(join(directory, "index")), stat)).toBeUndefined();
  }));

test("files that are gone are forgotten", () =>
  withTempDirectory((directory) => {
    const [one, two] = [file(directory, "one"), file(directory, "two")];
    const first = openStatIndex(join(directory, "index"));
    first.put(one, digest, Date.now() + 1000);
    first.put(two, digest, Date.now() + 1000);
    first.save();
    const second = openStatIndex(join(directory, "index"));
    known(second, one);
    second.save();
    const third = openStatIndex(join(directory, "index"));
    expect(known(third, two)).toBeUndefined();
    expect(known(third, one)).toEqual(digest);
  }));

test("what is new is recorded beside what is still true", () =>
  withTempDirectory((directory) => {
    const stats = Array.from({ length: 50 }, (_, i) => file(directory, `f${i}`));
    const digestOf = (i: number) => new Uint8Array(32).fill(i);
    for (const part of [0, 1, 2]) {
      const index = openStatIndex(join(directory, "index"));
      for (const [i, stat] of stats.entries()) {
        if (i % 3 < part) expect(known(index, stat)).toEqual(digestOf(i));
        else if (i % 3 === part) index.put(stat, digestOf(i), Date.now() + 1000);
      }
      index.save();
    }
    const last = openStatIndex(join(directory, "index"));
    for (const [i, stat] of stats.entries()) expect(known(last, stat)).toEqual(digestOf(i));
  }));
