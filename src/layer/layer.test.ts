import { expect, test } from "bun:test";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { freshDirectory, type MadeEntry, makeTar, packTree, unpackTar } from "../../test/support/layerTar.ts";
import { withTempDirectory } from "../../test/support/tempDirectory.ts";
import { AT_FDCWD, O_DIRECTORY } from "../linux/constants.ts";
import { createLinux } from "../linux/createLinux.ts";
import { sha256 } from "../oci/digest.ts";
import { describeLayer } from "./packLayer.ts";
import { sameContent } from "./sameContent.ts";
import { unpackBlob } from "./unpackBlob.ts";

const linux = createLinux();

const unpack = (directory: string, bytes: Uint8Array, options?: { lowerPaths?: string[]; whiteouts?: "literal" }) =>
  unpackTar(linux, directory, bytes, options);
const pack = (directory: string) => packTree(linux, directory);

const everything: MadeEntry[] = [
  { path: "d/", type: "directory", mode: 0o1777, uid: 5, gid: 6 },
  { path: "d/f", content: "hello", mode: 0o4755, uid: 1000, gid: 1000, xattrs: [["user.a", Buffer.from("b")]] },
  { path: "d/g", type: "hardlink", linkname: "d/f" },
  { path: "d/l", type: "symlink", linkname: "/away", mode: 0o777 },
  { path: "d/null", type: "char", major: 1, minor: 3, mode: 0o666 },
  { path: "d/pipe", type: "fifo" },
  { path: `d/${"long".repeat(60)}`, content: "x" },
  { path: "d/naïve", content: "é" },
  { path: "d/raw\udcff", content: "bytes", uid: 3_000_000, gid: 3_000_000 },
  { path: "gone/", type: "directory", mode: 0o755 },
  { path: "gone/.wh.file" },
  { path: "gone/opaque/", type: "directory", mode: 0o755 },
  { path: "gone/opaque/.wh..wh..opq" },
];

test("a layer is packed to the same bytes again, whatever it holds", () =>
  withTempDirectory((directory) => {
    const one = freshDirectory(directory);
    const first = unpack(one, makeTar(everything));
    expect(first.impliedDirs).toEqual([""]);
    const packed = pack(one);
    const two = freshDirectory(directory);
    const second = unpack(two, packed);
    expect(pack(two)).toEqual(packed);
    expect(second.diffID).toBe(sha256(packed));
    expect(describeLayer(linux, one)).toEqual({
      diffID: sha256(packed),
      tarSize: packed.length,
      size: second.size,
      impliedDirs: [],
      timeless: expect.any(String),
    });
    expect(sameContent(linux, one, two)).toBe(true);
    const at = (path: string) => linux.statat(AT_FDCWD, `${two}/${path}`);
    expect(at("d")).toMatchObject({ mode: 0o041777, uid: 5, gid: 6, mtimeSec: 1_000_000_000 });
    expect(at("d/f")).toMatchObject({ mode: 0o104755, uid: 1000, gid: 1000, nlink: 2, mtimeSec: 1_000_000_000 });
    expect(at("d/raw\udcff")).toMatchObject({ uid: 3_000_000 });
    expect(at("d/null")).toMatchObject({ rdevMajor: 1, rdevMinor: 3, mode: 0o020666 });
    expect(at("gone/file")).toMatchObject({ rdevMajor: 0, rdevMinor: 0, mode: 0o020000 });
    expect(linux.getxattr(AT_FDCWD, join(two, "gone/opaque"), "trusted.overlay.opaque")).toBeDefined();
  }));

test("the sum of a layer without times stays when only times change, and goes with a mode, an owner, a name or a byte", () =>
  withTempDirectory((directory) => {
    const at = freshDirectory(directory);
    unpack(at, makeTar(everything));
    const fd = linux.openat(AT_FDCWD, `${at}/d`, O_DIRECTORY);
    const first = describeLayer(linux, at);
    linux.utimensat(fd, "f", { sec: 7, nsec: 0 });
    linux.utimensat(fd, "raw\udcff", { sec: 8, nsec: 0 });
    linux.utimensat(fd, "", { sec: 9, nsec: 0 });
    const later = describeLayer(linux, at);
    expect(later).toEqual({ ...first, diffID: later.diffID });
    expect(later.diffID).not.toBe(first.diffID);
    const seen = new Set([first.timeless]);
    const changes: (() => void)[] = [
      () => linux.fchmodat(fd, "f", 0o640),
      () => linux.fchownat(fd, "raw\udcff", 1, 1),
      () => linux.fchmod(fd, 0o700),
      () => linux.renameat2(fd, "f", fd, "e"),
      () => {
        const bytes = readFileSync(`${at}/d/e`);
        bytes[0] = (bytes[0] as number) ^ 1;
        writeFileSync(`${at}/d/e`, bytes);
      },
    ];
    for (const change of changes) {
      change();
      seen.add(describeLayer(linux, at).timeless);
    }
    linux.close(fd);
    expect(seen.size).toBe(1 + changes.length);
  }));

test("GNU tar lists and unpacks what we pack, and we unpack what it packs", () =>
  withTempDirectory(async (directory) => {
    const one = freshDirectory(directory);
    unpack(one, makeTar(everything.slice(0, 9)));
    writeFileSync(join(directory, "ours.tar"), pack(one));
    const theirs = freshDirectory(directory);
    const extract = Bun.spawnSync([
      "tar",
      "--xattrs",
      "--xattrs-include=*",
      "--numeric-owner",
      "-xpf",
      join(directory, "ours.tar"),
      "-C",
      theirs,
    ]);
    expect(extract.stderr.toString()).toBe("");
    expect(sameContent(linux, one, theirs)).toBe(true);
    for (const format of ["pax", "gnu"]) {
      const attributes = format === "pax" ? ["--xattrs"] : [];
      const made = Bun.spawnSync([
        "tar",
        `--format=${format}`,
        ...attributes,
        "--numeric-owner",
        "-C",
        one,
        "-cf",
        join(directory, `${format}.tar`),
        ".",
      ]);
      expect(made.exitCode).toBe(0);
      const back = freshDirectory(directory);
      unpack(back, readFileSync(join(directory, `${format}.tar`)));
      if (format === "gnu") linux.setxattr(AT_FDCWD, join(back, "d/f"), "user.a", Buffer.from("b"));
      expect(sameContent(linux, one, back)).toBe(true);
    }
  }));

test("names and links lead nowhere outside", () =>
  withTempDirectory((directory) => {
    const root = freshDirectory(directory);
    mkdirSync(join(directory, "outside"));
    unpack(
      root,
      makeTar([
        { path: "../../escape", content: "1" },
        { path: "/absolute", content: "2" },
        { path: "up", type: "symlink", linkname: "../../../../outside" },
        { path: "up/file", content: "3" },
        { path: "abs", type: "symlink", linkname: "/outside" },
        { path: "abs/other", content: "4" },
        { path: "magic", type: "symlink", linkname: "/proc/self/root" },
        { path: "magic/deep", content: "5" },
      ]),
    );
    expect(readFileSync(join(root, "escape"), "utf8")).toBe("1");
    expect(readFileSync(join(root, "absolute"), "utf8")).toBe("2");
    expect(readFileSync(join(root, "outside/file"), "utf8")).toBe("3");
    expect(readFileSync(join(root, "outside/other"), "utf8")).toBe("4");
    expect(readFileSync(join(root, "proc/self/root/deep"), "utf8")).toBe("5");
    expect(linux.statatOrUndefined(AT_FDCWD, join(directory, "outside/file"))).toBeUndefined();
    expect(linux.statatOrUndefined(AT_FDCWD, join(directory, "escape"))).toBeUndefined();
  }));

test("the last of several entries with one name counts", () =>
  withTempDirectory((directory) => {
    const root = freshDirectory(directory);
    unpack(
      root,
      makeTar([
        { path: "a", content: "1" },
        { path: "a", content: "2" },
        { path: "b/", type: "directory", mode: 0o700 },
        { path: "b/c", content: "x" },
        { path: "b", content: "file" },
        { path: "e", content: "file" },
        { path: "e/f", content: "now a directory" },
      ]),
    );
    expect(readFileSync(join(root, "a"), "utf8")).toBe("2");
    expect(readFileSync(join(root, "b"), "utf8")).toBe("file");
    expect(readFileSync(join(root, "e/f"), "utf8")).toBe("now a directory");
  }));

test("a directory that follows its own whiteout hides what is below", () =>
  withTempDirectory((directory) => {
    for (const order of [0, 1]) {
      const root = freshDirectory(directory);
      const entries: MadeEntry[] = [{ path: ".wh.d" }, { path: "d/", type: "directory", mode: 0o755 }];
      unpack(root, makeTar(order === 0 ? entries : entries.reverse()));
      expect(linux.getxattr(AT_FDCWD, join(root, "d"), "trusted.overlay.opaque")).toBeDefined();
    }
  }));

test("a hard link to a file of a layer below becomes a copy of it", () =>
  withTempDirectory((directory) => {
    const lower = freshDirectory(directory);
    unpack(lower, makeTar([{ path: "bin/tool", content: "tool", mode: 0o755, uid: 7 }]));
    const bytes = makeTar([{ path: "bin/alias", type: "hardlink", linkname: "bin/tool" }]);
    expect(() => unpack(freshDirectory(directory), bytes)).toThrow("layer below");
    const root = freshDirectory(directory);
    unpack(root, bytes, { lowerPaths: [lower] });
    expect(readFileSync(join(root, "bin/alias"), "utf8")).toBe("tool");
    expect(linux.statat(AT_FDCWD, join(root, "bin/alias"))).toMatchObject({ uid: 7, mode: 0o100755, nlink: 1 });
    expect(() =>
      unpack(freshDirectory(directory), makeTar([{ path: "x", type: "hardlink", linkname: "none" }]), {
        lowerPaths: [lower],
      }),
    ).toThrow("not there");
  }));

test("damage is an error: cut off, bad check sum, a device that is a whiteout, a whiteout of nothing", () =>
  withTempDirectory((directory) => {
    const whole = makeTar([{ path: "a", content: "x".repeat(2000) }]);
    expect(() => unpack(freshDirectory(directory), whole.subarray(0, 900))).toThrow("middle of an entry");
    const broken = whole.slice();
    broken[3] = 65;
    expect(() => unpack(freshDirectory(directory), broken)).toThrow("check sum");
    expect(() =>
      unpack(freshDirectory(directory), makeTar([{ path: "dev", type: "char", major: 0, minor: 0 }])),
    ).toThrow("whiteout");
    expect(() => unpack(freshDirectory(directory), makeTar([{ path: ".wh..." }]))).toThrow("whiteout");
    expect(() => unpack(freshDirectory(directory), makeTar([{ path: ".wh..", content: "" }]))).toThrow("whiteout");
  }));

test("marks of overlayfs in an archive's attributes are not believed", () =>
  withTempDirectory((directory) => {
    const root = freshDirectory(directory);
    unpack(
      root,
      makeTar([
        {
          path: "d/",
          type: "directory",
          mode: 0o755,
          xattrs: [
            ["trusted.overlay.opaque", Buffer.from("y")],
            ["trusted.overlay.redirect", Buffer.from("/etc")],
          ],
        },
      ]),
    );
    expect(linux.xattrs(AT_FDCWD, join(root, "d"))).toEqual([]);
  }));

test("a blob is unpacked from gzip and zstd, and one that is not what the config names is refused", () =>
  withTempDirectory(async (directory) => {
    const bytes = makeTar([{ path: "big", content: "0123456789".repeat(300_000) }]);
    const half = bytes.length >> 1;
    const forms: [string, Uint8Array][] = [
      ["plain", bytes],
      ["gzip", gzipSync(bytes)],
      ["two members", Buffer.concat([gzipSync(bytes.subarray(0, half)), gzipSync(bytes.subarray(half))])],
      ["zstd", Bun.zstdCompressSync(bytes)],
    ];
    for (const [name, blob] of forms) {
      const path = join(directory, "blob");
      writeFileSync(path, blob);
      const root = freshDirectory(directory);
      const unpacked = await unpackBlob({ linux, blob: path, directory: root, expectedDiffID: sha256(bytes) });
      expect([name, unpacked.tarSize]).toEqual([name, bytes.length]);
      expect(
        unpackBlob({ linux, blob: path, directory: freshDirectory(directory), expectedDiffID: sha256("other") }),
      ).rejects.toThrow("config names");
      if (name !== "plain") {
        writeFileSync(path, blob.subarray(0, blob.length - 2000 > 0 ? blob.length - 2000 : blob.length - 20));
        expect(
          unpackBlob({ linux, blob: path, directory: freshDirectory(directory), expectedDiffID: sha256(bytes) }),
        ).rejects.toThrow();
      }
      rmSync(root, { recursive: true });
    }
  }));
