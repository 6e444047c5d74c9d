import { describe, expect, test } from "bun:test";
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { conformance } from "../../test/support/conformance.ts";
import { freshDirectory, type MadeEntry, makeTar, unpackTar, withOverlay } from "../../test/support/layerTar.ts";
import { withTempDirectory } from "../../test/support/tempDirectory.ts";
import { AT_FDCWD, O_DIRECTORY, S_IFCHR, S_IFMT } from "../linux/constants.ts";
import { createLinux } from "../linux/createLinux.ts";
import { isErrno } from "../linux/LinuxError.ts";
import type { TarEntryType } from "./tarReader.ts";

const linux = createLinux();
const table = conformance("layers");

type Row = { type: string; path: string; linkname?: string };
const typeNames: Record<string, TarEntryType> = {
  file: "file",
  dir: "directory",
  symlink: "symlink",
  fifo: "fifo",
  hardlink: "hardlink",
};

function entriesOf(rows: Row[]): MadeEntry[] {
  return rows.map(({ path, type, linkname = "" }) => ({ path, type: typeNames[type] as TarEntryType, linkname }));
}

function exists(path: string): boolean {
  try {
    lstatSync(path);
    return true;
  } catch (error) {
    // Below what is no directory (any more) there is nothing either.
    if (isErrno(error, "ENOENT", "ENOTDIR")) return false;
    throw error;
  }
}

/** All paths below, directories with a slash. */
function listing(root: string, prefix = ""): string[] {
  return readdirSync(join(root, prefix), { withFileTypes: true })
    .flatMap((entry) =>
      entry.isDirectory()
        ? [`${prefix}${entry.name}/`, ...listing(root, `${prefix}${entry.name}/`)]
        : [`${prefix}${entry.name}`],
    )
    .sort();
}

test.skipIf(table === undefined)(
  "layers.json is whole (skipped where the shared conformance folder is not there)",
  () => {
    const counts = ["apply", "whiteoutName", "pathScoping", "implicitParents", "hardlinks"].map(
      (name) => table[name].length,
    );
    expect(counts).toEqual([17, 10, 7, 2, 1]);
  },
);

describe.skipIf(table === undefined)("conformance, layers.json (absent where the shared folder is)", () => {
  for (const row of table?.apply ?? []) {
    test(`${row.id} ${row.name}: the kernel shows what the layers say`, () =>
      withTempDirectory((directory) => {
        const unpackAll = () =>
          row.layers.map((rows: Row[]) => {
            const layer = freshDirectory(directory);
            unpackTar(linux, layer, makeTar(entriesOf(rows)));
            return layer;
          });
        if (row.error === true) {
          expect(unpackAll).toThrow();
          return;
        }
        withOverlay(linux, unpackAll(), (root) => {
          for (const path of row.present) expect([path, exists(join(root, path))]).toEqual([path, true]);
          for (const path of row.absent) expect([path, exists(join(root, path))]).toEqual([path, false]);
          for (const path of row.emptyDirs ?? []) expect(readdirSync(join(root, path))).toEqual([]);
          if (row.exact === true) expect(listing(root)).toEqual([...row.present].sort());
        });
      }));
  }

  for (const row of table?.whiteoutName ?? []) {
    test(`${row.id} ${row.name}: a whiteout is a device 0:0 in the place of what it hides`, () =>
      withTempDirectory((directory) => {
        const unpack = () => unpackTar(linux, freshDirectory(directory), makeTar([{ path: row.entry }]));
        if (row.error !== undefined) {
          expect(unpack).toThrow("whiteout");
          return;
        }
        const root = freshDirectory(directory);
        unpackTar(linux, root, makeTar([{ path: row.entry }]));
        const stat = linux.statat(AT_FDCWD, join(root, row.removed));
        expect([stat.mode & S_IFMT, stat.rdevMajor, stat.rdevMinor]).toEqual([S_IFCHR, 0, 0]);
      }));
  }

  for (const row of table?.pathScoping ?? []) {
    test(`${row.id} ${row.name}: an entry lands inside, whatever its name and the links say`, () =>
      withTempDirectory((directory) => {
        writeFileSync(join(directory, "file"), "outside");
        const root = join(directory, "root");
        mkdirSync(root);
        const link: MadeEntry[] =
          row.symlink === undefined ? [] : [{ path: row.symlink.path, type: "symlink", linkname: row.symlink.target }];
        unpackTar(linux, root, makeTar([...link, { path: row.entry, content: "inside" }]));
        expect(readFileSync(join(root, row.writes), "utf8")).toBe("inside");
        expect(readFileSync(join(directory, "file"), "utf8")).toBe("outside");
      }));
  }

  for (const row of table?.implicitParents ?? []) {
    test(`${row.id} ${row.name}`, () =>
      withTempDirectory((root) => {
        const { impliedDirs } = unpackTar(linux, root, makeTar(entriesOf(row.entries)));
        for (const path of row.dirs) {
          expect([path, lstatSync(join(root, path)).isDirectory()]).toEqual([path, true]);
          expect(impliedDirs).toContain(path);
        }
        for (const path of row.files) expect([path, lstatSync(join(root, path)).isFile()]).toEqual([path, true]);
      }));
  }

  for (const row of table?.hardlinks ?? []) {
    test(`${row.id} ${row.name}: links are to the file itself and leave its owner alone`, () =>
      withTempDirectory((root) => {
        const entries = row.entries.map((each: Row & { ignoreOwner?: boolean }) => ({
          ...(entriesOf([each])[0] as MadeEntry),
          uid: each.ignoreOwner === true ? 1234 : 0,
        }));
        unpackTar(linux, root, makeTar(entries));
        const inode = (path: string) => lstatSync(join(root, path)).ino;
        for (const [a, b] of row.sameInode) expect(inode(a)).toBe(inode(b));
        for (const [a, b] of row.differentInode) expect(inode(a)).not.toBe(inode(b));
        for (const { path } of row.entries) expect(lstatSync(join(root, path)).uid).toBe(0);
      }));
  }
});

describe("what a layer hides", () => {
  const lower: MadeEntry[] = [{ path: "d/old" }, { path: "f/old" }, { path: "keep" }];
  const shown = (upper: MadeEntry[]): Promise<string[]> =>
    withTempDirectory((directory) => {
      const layers = [lower, upper].map((entries) => {
        const layer = freshDirectory(directory);
        unpackTar(linux, layer, makeTar(entries));
        return layer;
      });
      return withOverlay(linux, layers, (root) => listing(root));
    });

  test("a whiteout hides a directory whose files come back without an entry of its own, in either order", async () => {
    const expected = ["d/", "d/new", "f/", "f/old", "keep"];
    expect(await shown([{ path: "d/new" }, { path: ".wh.d" }])).toEqual(expected);
    expect(await shown([{ path: ".wh.d" }, { path: "d/new" }])).toEqual(expected);
  });

  test("a file over a directory hides all of it", async () => {
    expect(await shown([{ path: "f" }])).toEqual(["d/", "d/old", "f", "keep"]);
  });

  test("a file and its whiteout in one layer: the file stays, in either order", async () => {
    const expected = ["d/", "d/old", "f/", "f/old", "keep"];
    expect(await shown([{ path: "keep" }, { path: ".wh.keep" }])).toEqual(expected);
    expect(await shown([{ path: ".wh.keep" }, { path: "keep" }])).toEqual(expected);
  });
});

test("times are kept to the nanosecond, of directories too, and before the epoch", () =>
  withTempDirectory((directory) => {
    const from = join(directory, "from");
    mkdirSync(join(from, "d"), { recursive: true });
    writeFileSync(join(from, "d/f"), "x");
    linux.utimensat(AT_FDCWD, join(from, "d/f"), { sec: 1_234_567_890, nsec: 123_456_789 });
    linux.utimensat(AT_FDCWD, join(from, "d"), { sec: -2, nsec: 250_000_000 });
    const made = Bun.spawnSync(["tar", "--format=pax", "-C", from, "-cf", join(directory, "a.tar"), "d"]);
    expect(made.exitCode).toBe(0);
    const root = freshDirectory(directory);
    unpackTar(linux, root, readFileSync(join(directory, "a.tar")));
    expect(linux.statat(AT_FDCWD, join(root, "d/f"))).toMatchObject({
      mtimeSec: 1_234_567_890,
      mtimeNsec: 123_456_789,
    });
    expect(linux.statat(AT_FDCWD, join(root, "d"))).toMatchObject({ mtimeSec: -2, mtimeNsec: 250_000_000 });
  }));

// The names are read by readdir: join of node:path would spoil what is expected as it did what was made.
test("names that are no UTF-8 are kept byte for byte, and apart", () =>
  withTempDirectory((root) => {
    unpackTar(
      linux,
      root,
      makeTar([{ path: "d\udcff/f\udcff" }, { path: "d\udcff/f\udcfe" }, { path: "d\udcfe/", type: "directory" }]),
    );
    const fd = linux.openat(AT_FDCWD, root, O_DIRECTORY);
    try {
      expect(
        linux
          .readdir(fd)
          .map(({ name }) => name)
          .sort(),
      ).toEqual(["d\udcfe", "d\udcff"]);
      const inner = linux.openat(fd, "d\udcff", O_DIRECTORY);
      const names = linux.readdir(inner).map(({ name }) => name);
      linux.close(inner);
      expect(names.sort()).toEqual(["f\udcfe", "f\udcff"]);
    } finally {
      linux.close(fd);
    }
  }));

test("directories that no entry lists are root's, 0755, whatever holds them and whatever the umask is", () =>
  withTempDirectory((root) => {
    const umask = process.umask(0o077);
    try {
      const group: MadeEntry = { path: "g/", type: "directory", mode: 0o2775, gid: 50 };
      unpackTar(linux, root, makeTar([group, { path: "g/a/b/f" }]));
    } finally {
      process.umask(umask);
    }
    for (const path of ["g/a", "g/a/b"]) {
      expect(linux.statat(AT_FDCWD, join(root, path))).toMatchObject({ mode: 0o040755, uid: 0, gid: 0 });
    }
  }));

test("the root is root's and 0755, whatever an entry for it says, as containerd has it", () =>
  withTempDirectory((directory) => {
    const mode = (entries: MadeEntry[]): number => {
      const root = freshDirectory(directory);
      unpackTar(linux, root, makeTar(entries));
      return linux.statat(AT_FDCWD, root).mode & 0o7777;
    };
    expect(mode([{ path: "f" }])).toBe(0o755);
    for (const path of ["./", "/", "..", "a/.."]) {
      const root = freshDirectory(directory);
      const entry: MadeEntry = {
        path,
        type: "directory",
        mode: 0o700,
        uid: 5,
        gid: 6,
        xattrs: [["user.a", Buffer.from("b")]],
      };
      const { impliedDirs } = unpackTar(
        linux,
        root,
        makeTar([entry, { path: ".", type: "symlink", linkname: "x" }, { path: "f" }]),
      );
      expect(linux.statat(AT_FDCWD, root)).toMatchObject({ mode: 0o040755, uid: 0, gid: 0 });
      expect(linux.xattrs(AT_FDCWD, root)).toEqual([]);
      expect([readdirSync(root), impliedDirs]).toEqual([["f"], [""]]);
    }
  }));

test("a capability survives, although a change of owner takes it away", () =>
  withTempDirectory((root) => {
    // VFS_CAP_REVISION_2 with CAP_NET_BIND_SERVICE, effective (include/uapi/linux/capability.h).
    const capability = Buffer.from("0100000200040000000000000000000000000000", "hex");
    const entry: MadeEntry = { path: "ping", mode: 0o755, uid: 5, xattrs: [["security.capability", capability]] };
    unpackTar(linux, root, makeTar([entry]));
    expect(Buffer.from(linux.getxattr(AT_FDCWD, join(root, "ping"), "security.capability") ?? [])).toEqual(capability);
  }));

test("nothing is left open, after success and after failure", () =>
  withTempDirectory((directory) => {
    const open = () => readdirSync("/proc/self/fd").length;
    const many = Array.from({ length: 300 }, (_, i): MadeEntry => ({ path: `d${i}/f` }));
    const before = open();
    unpackTar(linux, freshDirectory(directory), makeTar(many));
    expect(open()).toBe(before);
    const cut = makeTar([...many, { path: "big", content: "x".repeat(5000) }]).subarray(0, -3000);
    expect(() => unpackTar(linux, freshDirectory(directory), cut)).toThrow();
    expect(() => unpackTar(linux, freshDirectory(directory), makeTar([...many, { path: ".wh." }]))).toThrow();
    expect(open()).toBe(before);
    expect(existsSync(directory)).toBe(true);
  }));
