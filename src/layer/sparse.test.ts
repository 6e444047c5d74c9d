import { expect, test } from "bun:test";
import { closeSync, ftruncateSync, mkdirSync, openSync, readdirSync, readFileSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { freshDirectory, packTree, unpackTar } from "../../test/support/layerTar.ts";
import { withTempDirectory } from "../../test/support/tempDirectory.ts";
import { createLinux } from "../linux/createLinux.ts";
import { sha256 } from "../oci/digest.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { tarHeader } from "./tarHeader.ts";
import { createTarReader } from "./tarReader.ts";

const linux = createLinux();
const formats = [
  ["--format=oldgnu"],
  ["--format=gnu"],
  ["--format=pax", "--sparse-version=0.0"],
  ["--format=pax", "--sparse-version=0.1"],
  ["--format=pax", "--sparse-version=1.0"],
];
const PAGE = 4096;

/** A file of `size` bytes with a few bytes of text at each offset. */
function makeSparse(path: string, size: number, offsets: number[]): void {
  const fd = openSync(path, "w", 0o640);
  for (const offset of offsets) writeSync(fd, `at ${offset}`, offset);
  ftruncateSync(fd, size);
  closeSync(fd);
}

function gnuTar(directory: string, format: string[], sparse = true): Uint8Array {
  const path = join(directory, "made.tar");
  const options = sparse ? ["--sparse", ...format] : format;
  const args = ["--numeric-owner", "--sort=name", ...options, "-C", join(directory, "in"), "-cf", path, "."];
  const made = Bun.spawnSync(["tar", ...args]);
  expect(made.stderr.toString()).toBe("");
  return readFileSync(path);
}

/** One file of each shape: more runs than a header holds, one after which two blocks of runs follow, nothing but a hole, an end without one. */
function makeTree(directory: string): string[] {
  const shapes: [string, number, number[]][] = [
    ["few", 40 * PAGE + 5, [3 * PAGE, 20 * PAGE]],
    ["start", 9 * PAGE, [0]],
    ["end", 50 * PAGE, [50 * PAGE - 9]],
    ["hole", 2 ** 33, []],
    ["large", 2 ** 33 + 1, [2 ** 33 - 100]],
    ["many", 400 * PAGE, Array.from({ length: 60 }, (_, i) => 6 * i * PAGE)],
    [`${"long".repeat(40)}name`, 30 * PAGE, [7 * PAGE]],
  ];
  mkdirSync(join(directory, "in"));
  for (const [name, size, offsets] of shapes) makeSparse(join(directory, "in", name), size, offsets);
  makeSparse(join(directory, "in/plain"), 11, [0]);
  return [...shapes.map(([name]) => name), "plain"];
}

test("sparse files of all of GNU tar's forms come out the same, and their holes as holes", () =>
  withTempDirectory((directory) => {
    const names = makeTree(directory);
    for (const format of formats) {
      const bytes = gnuTar(directory, format);
      expect(bytes.length).toBeLessThan(1024 * 1024);
      const root = freshDirectory(directory);
      const { diffID, size } = unpackTar(linux, root, bytes);
      expect(diffID).toBe(sha256(bytes));
      let sum = 0;
      for (const name of names) {
        const [from, to] = [statSync(join(directory, "in", name)), statSync(join(root, name))];
        const facts = (stat: typeof from) => [
          name,
          stat.size,
          stat.mode,
          (stat.mtime.getTime() / 1000) | 0,
          stat.blocks,
        ];
        expect([...format, ...facts(to)]).toEqual([...format, ...facts(from)]);
        if (to.size < 2 ** 30) {
          const same = Buffer.compare(readFileSync(join(root, name)), readFileSync(join(directory, "in", name)));
          expect([name, same]).toEqual([name, 0]);
        }
        sum += to.size;
      }
      const fd = openSync(join(root, "large"), "r");
      const found = new Uint8Array(20);
      linux.pread(fd, found, 2 ** 33 - 100);
      closeSync(fd);
      expect(Buffer.from(found).toString()).toBe(`at ${2 ** 33 - 100}`.padEnd(20, "\0"));
      expect(size).toBe(sum);
    }
  }));

test("a sparse file is packed as a plain one: the bytes do not depend on how the tar stored it", () =>
  withTempDirectory((directory) => {
    mkdirSync(join(directory, "in"));
    makeSparse(join(directory, "in/f"), 30 * PAGE, [9 * PAGE]);
    const packs = [...formats, []].map((format) => {
      const root = freshDirectory(directory);
      unpackTar(linux, root, gnuTar(directory, format, format.length > 0));
      return sha256(packTree(linux, root));
    });
    expect(new Set(packs).size).toBe(1);
  }));

const file = {
  type: "file",
  mode: 0o644,
  uid: 0,
  gid: 0,
  mtime: { sec: 1, nsec: 0 },
  linkname: "",
  major: 0,
  minor: 0,
} as const;

/** One entry `f` with the records, and `data`. */
function paxTar(records: [string, string][], data: string, type = "0"): Uint8Array {
  const body = records.map(([key, value]) => {
    const rest = ` ${key}=${value}\n`;
    let length = rest.length;
    while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
    return `${length}${rest}`;
  });
  return Buffer.concat([block("x", body.join("")), block(type, data)]);
}

/** A header of the type, and what follows it. */
function block(type: string, data: string, change: (header: Uint8Array) => void = () => {}): Uint8Array {
  const header = tarHeader({ ...file, path: "f", size: data.length, xattrs: [] });
  header[156] = type.charCodeAt(0);
  change(header);
  header.fill(32, 148, 156);
  const sum = header.reduce((a, b) => a + b, 0);
  header.set(Buffer.from(`${sum.toString(8).padStart(6, "0")}\0 `), 148);
  return Buffer.concat([header, Buffer.from(data), new Uint8Array((512 - (data.length % 512)) % 512)]);
}

function gnuBlock(data: string, magic: string, runs: [string, string][], size: string, extended = 0): Uint8Array {
  return block("S", data, (header) => {
    header.set(Buffer.from(magic), 257);
    for (const [i, [offset, length]] of runs.entries()) {
      header.set(Buffer.from(offset.padStart(11, "0")), 386 + 24 * i);
      header.set(Buffer.from(length.padStart(11, "0")), 398 + 24 * i);
    }
    header[482] = extended;
    header.set(Buffer.from(size.padStart(11, "0")), 483);
  });
}

test("a sparse file whose map is not of its data is refused before anything of it is there, and no map fills the memory", () =>
  withTempDirectory((directory) => {
    const one = (map: string, data = "", size = "100"): Uint8Array =>
      paxTar(
        [
          ["GNU.sparse.major", "1"],
          ["GNU.sparse.minor", "0"],
          ["GNU.sparse.realsize", size],
        ],
        map.padEnd(512, "\0") + data,
      );
    const zeroOne = (map: string, data = ""): Uint8Array =>
      paxTar(
        [
          ["GNU.sparse.size", "100"],
          ["GNU.sparse.map", map],
        ],
        data,
      );
    const pair = (keys: string[]): Uint8Array =>
      paxTar([["GNU.sparse.size", "100"], ...keys.map((key): [string, string] => [`GNU.sparse.${key}`, "0"])], "");
    const endless = new Uint8Array(512);
    for (let i = 0; i < 21 * 24; i++) endless[i] = i % 12 === 11 ? 0 : 48;
    endless[504] = 1;
    const blocks = Array.from({ length: 30_000 }, () => endless);
    const cases: [Uint8Array, string][] = [
      [one("1000000000000\n0\n"), "pieces"],
      [one("1\n0\n-5\n"), "number"],
      [one("\n0\n5\n"), "number"],
      [one("9".repeat(400)), "numbers"],
      [one(`900\n${"1\n1\n".repeat(126)}`), "past its data"],
      [one("2\n50\n3\n10\n2\n", "abcde"), "order"],
      [one("2\n10\n3\n12\n2\n", "abcde"), "order"],
      [one("1\n98\n3\n", "abc"), "past the file's end"],
      [one("1\n0\n3\n", "abcd"), "not of the data"],
      [one("1\n0\n5\n", "abcd"), "not of the data"],
      [one(`1\n${Number.MAX_SAFE_INTEGER}\n5\n`, "abcde"), "range"],
      [one("0\n", "", "x"), "realsize"],
      [zeroOne("0,5,7", "abcde"), "half a pair"],
      [zeroOne("0,5,7,x", "abcde"), "number"],
      [zeroOne("0,", "abcde"), "number"],
      [zeroOne("0,1,".repeat(600_000)), "pieces"],
      [pair(["offset"]), "half a pair"],
      [pair(["offset", "offset"]), "half a pair"],
      [pair(["numbytes"]), "half a pair"],
      [paxTar([["GNU.sparse.major", "2"]], ""), "version"],
      [paxTar([["GNU.sparse.map", "0,1"]], "a"), "without a size"],
      [paxTar([["GNU.sparse.size", "0"]], "", "5"), "is none"],
      [gnuBlock("abc", "ustar\0" + "00", [["0", "3"]], "10"), "not of GNU tar"],
      [
        gnuBlock(
          "abc",
          "ustar  \0",
          [
            ["4", "3"],
            ["0", "0"],
          ],
          "10",
        ),
        "order",
      ],
      [gnuBlock("abc", "ustar  \0", [["4", "4"]], "10"), "not of the data"],
      [Buffer.concat([gnuBlock("", "ustar  \0", [["0", "0"]], "10", 1), ...blocks]), "pieces"],
    ];
    const root = freshDirectory(directory);
    for (const [bytes, message] of cases) {
      expect(() => unpackTar(linux, root, Buffer.concat([bytes, new Uint8Array(1024)]))).toThrow(message);
      expect(readdirSync(root)).toEqual([]);
    }
  }));

test("damage of a sparse archive gives a SlipwayError or other entries, and a cut-off one an error", () =>
  withTempDirectory((directory) => {
    mkdirSync(join(directory, "in"));
    makeSparse(
      join(directory, "in/f"),
      200 * PAGE,
      Array.from({ length: 30 }, (_, i) => 6 * i * PAGE),
    );
    const read = (bytes: Uint8Array): void => {
      const reader = createTarReader({ entry() {}, data() {}, hole() {}, end() {} });
      reader.push(bytes);
      reader.finish();
    };
    for (const format of formats) {
      const whole = gnuTar(directory, format);
      read(whole);
      for (const length of [1300, 1800, 4000, 60_000]) expect(() => read(whole.subarray(0, length))).toThrow("middle");
      fc.assert(
        fc.property(fc.array(fc.tuple(fc.nat(4000), fc.nat(255)), { minLength: 1, maxLength: 4 }), (changes) => {
          const damaged = whole.slice(0, 8000);
          for (const [at, byte] of changes) damaged[at] = byte;
          try {
            read(damaged);
          } catch (error) {
            expect(error).toBeInstanceOf(SlipwayError);
          }
        }),
        { numRuns: 100 },
      );
    }
  }));
