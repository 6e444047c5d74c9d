import { expect, test } from "bun:test";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { makeTar } from "../../test/support/layerTar.ts";
import { withTempDirectory } from "../../test/support/tempDirectory.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { createTarReader, type TarEntry } from "./tarReader.ts";

type Read = TarEntry & { content: string };

function read(bytes: Uint8Array, cuts: number[] = []): Read[] {
  const entries: Read[] = [];
  const reader = createTarReader({
    entry: (entry) => void entries.push({ ...entry, content: "" }),
    data: (chunk) => {
      (entries.at(-1) as Read).content += Buffer.from(chunk).toString("latin1");
    },
    hole: (length) => {
      (entries.at(-1) as Read).content += "\0".repeat(length);
    },
    end: () => {},
  });
  const edges = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  for (let i = 1; i < edges.length; i++) reader.push(bytes.subarray(edges[i - 1], edges[i]));
  reader.finish();
  return entries;
}

function gnuTar(directory: string, args: string[], names: string[]): Uint8Array {
  const path = join(directory, "made.tar");
  const made = Bun.spawnSync(["tar", "--numeric-owner", ...args, "-C", join(directory, "in"), "-cf", path, ...names]);
  expect(made.stderr.toString()).toBe("");
  return readFileSync(path);
}

const sample = makeTar([
  { path: "d/", type: "directory", mode: 0o1777 },
  { path: "d/f", content: "hello", uid: 3_000_000, xattrs: [["user.a", Buffer.from([0, 10, 61, 255])]] },
  { path: `d/${"long/".repeat(60)}name`, content: "x".repeat(1500) },
  { path: "d/l", type: "symlink", linkname: "t".repeat(150) },
  { path: "raw\udcff", content: "" },
]);

test("an archive reads the same however it is cut into pieces", () => {
  const whole = read(sample);
  fc.assert(
    fc.property(fc.array(fc.nat(sample.length), { maxLength: 30 }), (cuts) => {
      expect(read(sample, cuts)).toEqual(whole);
    }),
  );
});

test("a damaged archive gives a SlipwayError or other entries, and never anything else", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(sample.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 }),
      fc.nat(sample.length),
      (changes, length) => {
        const damaged = sample.slice(0, length);
        for (const [at, byte] of changes) if (at < length) damaged[at] = byte;
        try {
          read(damaged);
        } catch (error) {
          expect(error).toBeInstanceOf(SlipwayError);
        }
      },
    ),
    { numRuns: 300 },
  );
});

test("an archive that is cut off inside an entry is refused, wherever the cut is", () => {
  const one = makeTar([{ path: "f", content: "x".repeat(700) }]);
  for (const length of [1, 511, 513, 1000, 512 + 699]) {
    expect(() => read(one.subarray(0, length))).toThrow("middle of an entry");
  }
  // The end mark itself may be missing, as GNU tar allows.
  expect(read(one.subarray(0, 512 + 1024))).toHaveLength(1);
});

for (const format of ["v7", "oldgnu", "gnu", "ustar", "pax"]) {
  test(`GNU tar's format ${format} is read`, () =>
    withTempDirectory((directory) => {
      mkdirSync(join(directory, "in/d"), { recursive: true });
      writeFileSync(join(directory, "in/d/f"), "hello", { mode: 0o640 });
      symlinkSync("f", join(directory, "in/d/l"));
      const found = read(gnuTar(directory, [`--format=${format}`, "--sort=name", "--owner=7", "--group=8"], ["d"]));
      expect(found.map(({ path, type }) => [path.replace(/\/$/, ""), type])).toEqual([
        ["d", "directory"],
        ["d/f", "file"],
        ["d/l", "symlink"],
      ]);
      expect(found[1]).toMatchObject({ content: "hello", mode: 0o640, uid: 7, gid: 8, size: 5 });
      expect(found[2]).toMatchObject({ linkname: "f" });
    }));
}

for (const format of ["gnu", "pax"]) {
  test(`names and links of any length and large owners are read from format ${format}`, () =>
    withTempDirectory((directory) => {
      const deep = Array(8).fill("d".repeat(60)).join("/");
      mkdirSync(join(directory, "in", deep), { recursive: true });
      writeFileSync(join(directory, "in", deep, "f".repeat(200)), "x");
      symlinkSync("t".repeat(300), join(directory, "in", deep, "l"));
      const owner = ["--owner=4000000000", "--group=4000000001"];
      const found = read(gnuTar(directory, [`--format=${format}`, "--sort=name", ...owner], ["."]));
      const file = found.find((entry) => entry.type === "file");
      expect(file?.path).toBe(`./${deep}/${"f".repeat(200)}`);
      expect(file).toMatchObject({ uid: 4_000_000_000, gid: 4_000_000_001 });
      expect(found.find((entry) => entry.type === "symlink")?.linkname).toBe("t".repeat(300));
    }));
}

test("a global header holds for all that follows, and an entry's own goes before it", () =>
  withTempDirectory((directory) => {
    mkdirSync(join(directory, "in"), { recursive: true });
    writeFileSync(join(directory, "in/a"), "a");
    writeFileSync(join(directory, "in/b"), "b");
    const all = ["--format=pax", "--pax-option=uid=99,delete=atime,delete=ctime", "--sort=name"];
    expect(read(gnuTar(directory, all, ["a", "b"])).map(({ uid }) => uid)).toEqual([99, 99]);
  }));
