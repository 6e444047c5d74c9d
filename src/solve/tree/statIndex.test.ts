import { expect, test } from "bun:test";
import { truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { withTempDirectory } from "../../../test/support/tempDirectory.ts";
import { AT_FDCWD } from "../../linux/constants.ts";
import { createLinux } from "../../linux/createLinux.ts";
import { openStatIndex } from "./statIndex.ts";

const linux = createLinux();
const digest = new Uint8Array(32).fill(7);

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
    for (const [i, stat] of stats.entries()) expect(again.get(stat)).toEqual(new Uint8Array(32).fill(i));
  }));

test("any part of the stat that differs makes the file unknown", () =>
  withTempDirectory((directory) => {
    const stat = file(directory, "f");
    const index = openStatIndex(join(directory, "index"));
    index.put(stat, digest, Date.now() + 1000);
    index.save();
    const again = openStatIndex(join(directory, "index"));
    for (const part of ["ino", "size", "mtimeSec", "mtimeNsec", "ctimeSec", "ctimeNsec", "dev"] as const) {
      expect(again.get({ ...stat, [part]: stat[part] + 1 })).toBeUndefined();
    }
    expect(again.get(stat)).toEqual(digest);
  }));

test("a file changed in the tick in which it was read is not recorded", () =>
  withTempDirectory((directory) => {
    const stat = file(directory, "f");
    const index = openStatIndex(join(directory, "index"));
    index.put(stat, digest, stat.ctimeSec * 1000 + stat.ctimeNsec / 1e6 + 5);
    index.save();
    expect(openStatIndex(join(directory, "index")).get(stat)).toBeUndefined();
  }));

test("an index that was cut short counts as empty", () =>
  withTempDirectory((directory) => {
    const stat = file(directory, "f");
    const index = openStatIndex(join(directory, "index"));
    index.put(stat, digest, Date.now() + 1000);
    index.save();
    truncateSync(join(directory, "index"), 50);
    expect(openStatIndex(join(directory, "index")).get(stat)).toBeUndefined();
  }));

test("files that are gone are forgotten", () =>
  withTempDirectory((directory) => {
    const [one, two] = [file(directory, "one"), file(directory, "two")];
    const first = openStatIndex(join(directory, "index"));
    first.put(one, digest, Date.now() + 1000);
    first.put(two, digest, Date.now() + 1000);
    first.save();
    const second = openStatIndex(join(directory, "index"));
    second.get(one);
    second.save();
    const third = openStatIndex(join(directory, "index"));
    expect(third.get(two)).toBeUndefined();
    expect(third.get(one)).toEqual(digest);
  }));
