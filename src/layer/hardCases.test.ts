import { expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freshDirectory, type MadeEntry, makeTar, packTree, unpackTar } from "../../test/support/layerTar.ts";
import { withTempDirectory } from "../../test/support/tempDirectory.ts";
import { AT_FDCWD } from "../linux/constants.ts";
import { createLinux } from "../linux/createLinux.ts";
import { isSlipwayError, SlipwayError } from "../oci/SlipwayError.ts";
import { describeLayer, packLayer } from "./packLayer.ts";
import { tarHeader } from "./tarHeader.ts";
import { createUnpacker } from "./unpackLayer.ts";

const linux = createLinux();
const unpack = (directory: string, entries: MadeEntry[], options?: { lowerPaths?: string[]; whiteouts?: "literal" }) =>
  unpackTar(linux, directory, makeTar(entries), options);

test("no more room is taken than a step past the bytes that came, whatever size a header claims", () =>
  withTempDirectory((directory) => {
    const plain = { type: "file", mode: 0o644, uid: 0, gid: 0, mtime: { sec: 1, nsec: 0 }, linkname: "" } as const;
    for (const size of [2 ** 52, 2 ** 40, 2 ** 31]) {
      const root = freshDirectory(directory);
      const unpacker = createUnpacker(linux, { directory: root });
      unpacker.push(tarHeader({ ...plain, path: "f", size, major: 0, minor: 0, xattrs: [] }));
      unpacker.push(new Uint8Array(1000));
      expect(statSync(join(root, "f")).blocks * 512).toBeLessThan(65 * 1024 * 1024);
      expect(() => unpacker.finish()).toThrow("middle of an entry");
    }
    // 8 EiB, as base-256: the largest that the field is meant for.
    const header = Buffer.from(tarHeader({ ...plain, path: "f", size: 0, major: 0, minor: 0, xattrs: [] }));
    header.set([0x80, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], 124);
    header.fill(32, 148, 156);
    header.write(
      `${header
        .reduce((a, b) => a + b, 0)
        .toString(8)
        .padStart(6, "0")}\0 `,
      148,
      "latin1",
    );
    expect(() => unpackTar(linux, freshDirectory(directory), header)).toThrow("out of range");
  }));

test("a name, a path, a target, an owner, a device or an attribute that no file can have is an error that names the entry", () =>
  withTempDirectory((directory) => {
    const deep = "d/".repeat(2100);
    const cases: [MadeEntry, string][] = [
      [{ path: `in/${"n".repeat(256)}` }, '"in/nnnnn.*its name "n+" is longer than the 255 bytes'],
      [{ path: `${"é".repeat(128)}/f` }, "its name .* is longer than the 255 bytes"],
      [{ path: `${deep}file` }, 'd/file" is refused: its path is longer than the 4095 bytes'],
      [{ path: `${"é/".repeat(1500)}file` }, "its path is longer than the 4095 bytes"],
      [{ path: "x".repeat(60_000) }, "its path is longer than the 4095 bytes"],
      [{ path: "x".repeat(2_000_000) }, 'a name of 2000000 bytes, which begins with "xxx'],
      [{ path: "\udcff".repeat(2_000_000) }, "a name of 2000000 bytes"],
      [{ path: "l", type: "symlink", linkname: "t".repeat(4096) }, '"l" is refused: its target\'s path is longer'],
      [{ path: "l", type: "symlink", linkname: "" }, '"l" is refused: it is a link to nothing'],
      [{ path: "l", type: "hardlink", linkname: "t".repeat(256) }, '"l" is refused: its target\'s name'],
      [{ path: "a", xattrs: [["user.big", new Uint8Array(70_000)]] }, '"a" is refused: its attribute "user.big"'],
    ];
    for (const [entry, message] of cases) {
      const root = freshDirectory(directory);
      let error: unknown;
      try {
        unpack(root, [entry]);
      } catch (thrown) {
        error = thrown;
      }
      expect(error).toBeInstanceOf(SlipwayError);
      const said = (error as Error).message;
      expect(said).toMatch(new RegExp(message));
      expect(said.length).toBeLessThan(900);
    }
    for (const entry of [
      { uid: 2 ** 32 },
      { gid: 2 ** 40 },
      { uid: 2 ** 32 - 1 },
      { type: "char", major: 4096, minor: 0 }, // cut to its low bits, it would be a whiteout
      { type: "block", major: 8, minor: 2 ** 20 },
    ] as const) {
      expect(() => unpack(freshDirectory(directory), [{ path: "odd", ...entry }])).toThrow(
        /"odd" is refused: its (owner|device) .* is out of range/,
      );
    }
    expect(() => unpack(freshDirectory(directory), [{ path: "f", mtime: { sec: 2 ** 60, nsec: 0 } }])).toThrow(
      "PAX time",
    );
    // As long as they can be, they are read.
    const longest = `d/${`${"d".repeat(254)}/`.repeat(16)}end`.padEnd(4095, "e");
    const root = freshDirectory(directory);
    unpack(root, [
      { path: "n".repeat(255) },
      { path: longest },
      { path: "l", type: "symlink", linkname: "t".repeat(4095) },
      { path: `.wh.${"w".repeat(255)}` },
    ]);
    expect(readdirSync(root).sort()).toEqual(["d", "l", "n".repeat(255), "w".repeat(255)]);
    const again = freshDirectory(directory);
    expect(unpackTar(linux, again, packTree(linux, root)).diffID).toBe(describeLayer(linux, root).diffID);
  }));

test("a hard link to a file that comes later or never is an error, and so is one to what this or a lower layer has removed", () =>
  withTempDirectory((directory) => {
    const missing = (entries: MadeEntry[], lowerPaths: string[]) => {
      try {
        unpack(freshDirectory(directory), entries, { lowerPaths });
        return "none";
      } catch (error) {
        return isSlipwayError(error, "LINK_TARGET_MISSING") ? error.message : error;
      }
    };
    const link: MadeEntry = { path: "here/link", type: "hardlink", linkname: "d/f" };
    const said = '"here/link" is a hard link to "d/f", which is not there';
    const layer = (entries: MadeEntry[]) => {
      const made = freshDirectory(directory);
      unpack(made, entries);
      return made;
    };
    const low = layer([
      { path: "d/f", content: "low", uid: 3 },
      { path: "dir/f", content: "low" },
    ]);
    expect(missing([link, { path: "d/f", content: "late" }], [])).toBe(said);
    expect(missing([link], [])).toBe(said);
    for (const removal of [".wh.d", "d/.wh.f", "d/.wh..wh..opq", "d"]) {
      expect([removal, missing([{ path: removal }, link], [low])]).toEqual([removal, said]);
      expect([removal, missing([link], [low, layer([{ path: removal }])])]).toEqual([removal, said]);
    }
    expect(missing([{ ...link, linkname: "dir" }], [low])).toContain("which is not there");
    // An archive that is no layer has no layers below it to ask for.
    expect(() => unpack(freshDirectory(directory), [link], { whiteouts: "literal" })).toThrow(said);

    // What is seen is found, through links of any layer, and its bytes count.
    const linked = layer([
      { path: "via", type: "symlink", linkname: "/over/there" },
      { path: "over/there", type: "symlink", linkname: "../d" },
    ]);
    const root = freshDirectory(directory);
    const { size } = unpack(root, [{ ...link, linkname: "via/f" }, { path: "d/.wh.f" }], { lowerPaths: [low, linked] });
    expect(readFileSync(join(root, "here/link"), "utf8")).toBe("low");
    expect([size, describeLayer(linux, root).size]).toEqual([3, 3]);
  }));

test("the size counts each file that is there once, however often the archive had it", () =>
  withTempDirectory((directory) => {
    const root = freshDirectory(directory);
    const { size } = unpack(root, [
      { path: "a", content: "12345" },
      { path: "a", content: "123" },
      { path: "d/f", content: "1234567" },
      { path: "d/g", type: "hardlink", linkname: "d/f" },
      { path: "d/h/i", content: "12" },
      { path: "d", content: "1" },
      { path: "e", content: "12345678" },
      { path: "e/f", content: "12" },
      { path: "one", content: "1234" },
      { path: "two", type: "hardlink", linkname: "one" },
      { path: "one", content: "1" },
      { path: "s", content: "12345" },
      { path: "s", type: "symlink", linkname: "x" },
    ]);
    expect(size).toBe(3 + 1 + 2 + 4 + 1);
    expect(describeLayer(linux, root).size).toBe(size);
  }));

test("a file that is named as a whiteout stays in the store's layer, but does not leave it as one", () =>
  withTempDirectory((directory) => {
    const take = (leaving: boolean): void => {
      for (const _ of packLayer(linux, directory, { leaving }));
    };
    mkdirSync(join(directory, "d"));
    for (const path of ["d/.wh.file", ".wh..wh..opq", ".wh.dir/"]) {
      if (path.endsWith("/")) mkdirSync(join(directory, path));
      else writeFileSync(join(directory, path), "");
      expect(() => take(true)).toThrow(`file "/${path.replace(/\/$/, "")}" cannot leave`);
      take(false);
      rmSync(join(directory, path), { recursive: true });
    }
    linux.mknodat(AT_FDCWD, join(directory, "gone"), 0o020000, 0, 0);
    take(true);
  }));
