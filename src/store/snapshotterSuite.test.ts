import { afterEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { filesOf } from "../../test/support/builtImage.ts";
import { type MadeEntry, makeTar, packTree, unpackTar } from "../../test/support/layerTar.ts";
import { AT_FDCWD, S_IFCHR, S_IFIFO } from "../linux/constants.ts";
import { createLinux } from "../linux/createLinux.ts";
import { openStore } from "./openStore.ts";
import { removeTree } from "./removeTree.ts";
import type { Snapshotter, StorageName } from "./Snapshotter.ts";
import type { LayerRecord, Lease, Store } from "./Store.ts";

const linux = createLinux();
const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const each of cleanups.splice(0).reverse()) each();
});

/** Why a storage cannot be tried here; undefined where it can. */
const skipped: Record<StorageName, string | undefined> = {
  overlay: process.getuid?.() === 0 ? undefined : "needs root, for mounts",
  fuse: fuseMissing(),
  copy: process.getuid?.() === 0 ? undefined : "needs root, for owners",
};
const storages = Object.keys(skipped) as StorageName[];

const TIME = { sec: 1_000_000_000, nsec: 0 };
const dir = (path: string, more: Partial<MadeEntry> = {}): MadeEntry => ({
  path,
  type: "directory",
  mtime: TIME,
  ...more,
});
const file = (path: string, content = path, more: Partial<MadeEntry> = {}): MadeEntry => ({
  path,
  content,
  mtime: TIME,
  ...more,
});

interface Case {
  /** Layers below, lowest first. */
  below: MadeEntry[][];
  /** What a step does. */
  work(root: string): void;
  /** What is in the layer: `type mode uid:gid content attributes` by path. */
  layer: Record<string, string>;
}

const text = (value: string): Uint8Array => Buffer.from(value);

const cases: Record<string, Case> = {
  "nothing that is written is an empty layer": { below: [[dir("d"), file("d/f")]], work: () => {}, layer: {} },
  "files that are made, changed and removed, with the directories that lead to them": {
    below: [
      [dir("d", { mode: 0o750, uid: 3, gid: 4 }), file("d/kept"), file("d/changed"), file("d/gone"), file("top")],
    ],
    work(root) {
      writeFileSync(`${root}/d/new`, "new");
      writeFileSync(`${root}/d/changed`, "other");
      rmSync(`${root}/d/gone`);
      rmSync(`${root}/top`);
    },
    layer: {
      ".wh.top": "whiteout",
      d: "directory 750 3:4",
      "d/.wh.gone": "whiteout",
      "d/changed": "file 644 0:0 other",
      "d/new": "file 644 0:0 new",
    },
  },
  "a change of the same length at the same time is found": {
    below: [[file("f", "one"), file("g", "one"), { path: "l", type: "symlink", linkname: "one", mtime: TIME }]],
    work(root) {
      for (const name of ["f", "g"]) writeFileSync(`${root}/${name}`, name === "f" ? "two" : "one");
      rmSync(`${root}/l`);
      symlinkSync("two", `${root}/l`);
      for (const name of ["f", "g", "l"]) linux.utimensat(AT_FDCWD, `${root}/${name}`, TIME);
    },
    layer: { f: "file 644 0:0 two", l: "symlink 777 0:0 -> two" },
  },
  "what is touched, or made anew, and is as it was is no change": {
    below: [
      [
        dir("d", { xattrs: [["user.a", text("1")]] }),
        file("d/f", "1", { mode: 0o4755, xattrs: [["user.b", text("2")]] }),
        dir("d/e"),
        file("d/e/g"),
      ],
    ],
    work(root) {
      chmodSync(`${root}/d/f`, 0o4755);
      chownSync(`${root}/d`, 0, 0);
      writeFileSync(`${root}/d/passing`, "");
      rmSync(`${root}/d/passing`);
      rmSync(`${root}/d/e`, { recursive: true });
      mkdirSync(`${root}/d/e`);
      writeFileSync(`${root}/d/e/g`, "d/e/g");
      linux.utimensat(AT_FDCWD, `${root}/d/e/g`, TIME);
    },
    layer: {},
  },
  "another mode, owner, time or attribute alone is a change, of directories but for the time": {
    below: [
      [
        ...["mode", "owner", "time", "attribute", "none"].flatMap((name) => [dir(name), file(`${name}/f`, "1")]),
        file("dropped", "1", { xattrs: [["user.a", text("1")]] }),
      ],
    ],
    work(root) {
      chmodSync(`${root}/mode`, 0o700);
      chmodSync(`${root}/mode/f`, 0o4711);
      chownSync(`${root}/owner/f`, 5, 6);
      chownSync(`${root}/owner`, 5, 6);
      utimesSync(`${root}/time/f`, 5, 6);
      utimesSync(`${root}/time`, 5, 6);
      linux.setxattr(AT_FDCWD, `${root}/attribute`, "user.a", text("1"));
      linux.setxattr(AT_FDCWD, `${root}/attribute/f`, "user.b", text("2"));
      linux.removexattr(AT_FDCWD, `${root}/dropped`, "user.a");
    },
    layer: {
      attribute: "directory 755 0:0 user.a=1",
      "attribute/f": "file 644 0:0 1 user.b=2",
      dropped: "file 644 0:0 1",
      mode: "directory 700 0:0",
      "mode/f": "file 4711 0:0 1",
      owner: "directory 755 5:6",
      "owner/f": "file 644 5:6 1",
      time: "directory 755 0:0",
      "time/f": "file 644 0:0 1",
    },
  },
  "a directory that is removed and made again says which names are gone": {
    below: [[dir("d"), file("d/a"), dir("d/sub"), file("d/sub/b"), file("d/c", "1")]],
    work(root) {
      rmSync(`${root}/d`, { recursive: true });
      mkdirSync(`${root}/d`);
      writeFileSync(`${root}/d/c`, "2");
      mkdirSync(`${root}/d/fresh`);
      mkdirSync(`${root}/d/fresh/er`);
    },
    layer: {
      d: "directory 755 0:0",
      "d/.wh.a": "whiteout",
      "d/.wh.sub": "whiteout",
      "d/c": "file 644 0:0 2",
      "d/fresh": "directory 755 0:0",
      "d/fresh/er": "directory 755 0:0",
    },
  },
  "a file becomes a directory, a directory a file, and a link either": {
    below: [
      [
        file("f"),
        dir("d"),
        file("d/x"),
        { path: "l", type: "symlink", linkname: "f", mtime: TIME },
        dir("e"),
        file("e/y"),
      ],
    ],
    work(root) {
      for (const name of ["f", "d", "l", "e"]) rmSync(`${root}/${name}`, { recursive: true });
      mkdirSync(`${root}/f`);
      writeFileSync(`${root}/f/in`, "1");
      writeFileSync(`${root}/d`, "2");
      mkdirSync(`${root}/l`);
      symlinkSync("f", `${root}/e`);
    },
    layer: {
      d: "file 644 0:0 2",
      e: "symlink 777 0:0 -> f",
      f: "directory 755 0:0",
      "f/in": "file 644 0:0 1",
      l: "directory 755 0:0",
    },
  },
  "a directory that is moved is removed here and made there": {
    below: [[dir("d"), dir("d/e"), file("d/e/f", "1"), dir("to")]],
    work(root) {
      mkdirSync(`${root}/n`);
      mkdirSync(`${root}/n/m`);
      move(`${root}/d`, `${root}/to/d`);
      move(`${root}/n`, `${root}/to/n`);
    },
    layer: {
      ".wh.d": "whiteout",
      to: "directory 755 0:0",
      "to/d": "directory 755 0:0",
      "to/d/e": "directory 755 0:0",
      "to/d/e/f": "file 644 0:0 1",
      "to/n": "directory 755 0:0",
      "to/n/m": "directory 755 0:0",
    },
  },
  "a directory that is moved away and back is no change": {
    below: [[dir("d"), dir("d/e"), file("d/e/f", "1"), { path: "d/l", type: "symlink", linkname: "e", mtime: TIME }]],
    work(root) {
      move(`${root}/d`, `${root}/away`);
      move(`${root}/away`, `${root}/d`);
    },
    layer: {},
  },
  "hard links that are made are links; one to a file from below is a file": {
    below: [[file("old", "1")]],
    work(root) {
      writeFileSync(`${root}/a`, "2");
      linkSync(`${root}/a`, `${root}/b`);
      linkSync(`${root}/old`, `${root}/z`);
    },
    layer: { a: "file 644 0:0 2", b: "hardlink 644 0:0 -> a", z: "file 644 0:0 1" },
  },
  "devices, pipes and setuid files; a socket is in no layer": {
    below: [[]],
    work(root) {
      linux.mknodat(AT_FDCWD, `${root}/null`, S_IFCHR | 0o666, 1, 3);
      linux.mknodat(AT_FDCWD, `${root}/pipe`, S_IFIFO | 0o600, 0, 0);
      Bun.listen({ unix: `${root}/socket`, socket: { data() {} } }).stop(true);
      linux.mknodat(AT_FDCWD, `${root}/left`, 0o140000 | 0o600, 0, 0);
      writeFileSync(`${root}/su`, "");
      chownSync(`${root}/su`, 7, 8);
      chmodSync(`${root}/su`, 0o6755);
    },
    layer: { null: "char 644 0:0", pipe: "fifo 600 0:0", su: "file 6755 7:8" },
  },
  "a file that a lower layer removed is made again, and one that it made is removed": {
    below: [
      [dir("d"), file("d/f", "1"), dir("e"), file("e/g")],
      [dir("d"), file("d/.wh.f", ""), file(".wh.e", ""), file("x", "1")],
    ],
    work(root) {
      expect([readdirSync(`${root}/d`), existsSync(`${root}/e`)]).toEqual([[], false]);
      writeFileSync(`${root}/d/f`, "2");
      mkdirSync(`${root}/e`);
      rmSync(`${root}/x`);
    },
    layer: { ".wh.x": "whiteout", d: "directory 755 0:0", "d/f": "file 644 0:0 2", e: "directory 755 0:0" },
  },
  "what overlayfs marks its directories with is not the step's to set": {
    below: [[dir("d"), file("d/f")]],
    work(root) {
      for (const name of ["user.overlay.opaque", "trusted.overlay.opaque"])
        quietly(() => linux.setxattr(AT_FDCWD, `${root}/d`, name, text("y")));
      quietly(() => linux.mknodat(AT_FDCWD, `${root}/wh`, S_IFCHR, 0, 0));
      mkdirSync(`${root}/n`);
      quietly(() => linux.setxattr(AT_FDCWD, `${root}/n`, "user.overlay.opaque", text("y")));
    },
    layer: { n: "directory 755 0:0" },
  },
};

for (const storage of storages) {
  const why = skipped[storage];
  describe.skipIf(why !== undefined)(`storage ${storage}${why === undefined ? "" : ` (skipped: ${why})`}`, () => {
    for (const [name, { below, work, layer }] of Object.entries(cases)) {
      test(name, () => {
        const { store, lease, snapshotter } = open(storage);
        const layers = below.map((entries) => layerOf(store, lease, entries));
        const snapshot = snapshotter.prepare(layers, lease.directory(), { volatile: true });
        inside(snapshot.mount(), work);
        const made = snapshot.layer();
        const described = linesOf(made);
        expect(described).toEqual(layer);
        // What the layers show with this one on top is what the step saw at its end.
        const next = adopt(store, lease, made);
        const again = snapshotter.prepare([...layers, next], lease.directory(), { volatile: true });
        linux.close(again.mount());
        expect(linesOf(again.layer())).toEqual({});
      });
    }

    test("all that a file has is what its layer says, the root is root's and 0755, and what the topmost layer has is seen", () => {
      const { store, lease, snapshotter } = open(storage);
      const layers = [
        layerOf(store, lease, [
          dir("d", { mode: 0o1777, uid: 1, gid: 2, xattrs: [["user.a", text("b")]] }),
          file("d/f", "1", { mode: 0o4755, uid: 3, gid: 4, xattrs: [["user.c", text("d")]] }),
          { path: "d/hard", type: "hardlink", linkname: "d/f" },
          { path: "d/soft", type: "symlink", linkname: "../nowhere", uid: 5, gid: 6, mtime: TIME },
          { path: "d/null", type: "char", major: 1, minor: 3, mode: 0o666, mtime: TIME },
          file("over", "1"),
        ]),
        layerOf(store, lease, [file("over", "2"), file("d/.wh.soft", "")], ["d"]),
        layerOf(store, lease, [dir("o"), file("o/a")]),
        layerOf(store, lease, [dir("o"), file("o/.wh..wh..opq", ""), file("o/b")]),
      ];
      const check = (root: string): void => {
        expect(readFileSync(`${root}/over`, "utf8")).toBe("2");
        expect(readdirSync(`${root}/d`).sort()).toEqual(["f", "hard", "null"]);
        expect(readdirSync(`${root}/o`)).toEqual(["b"]);
        const [f, hard] = [lstatSync(`${root}/d/f`), lstatSync(`${root}/d/hard`)];
        expect([f.mode & 0o7777, f.uid, f.gid, f.ino === hard.ino]).toEqual([0o4755, 3, 4, true]);
        const d = linux.statat(AT_FDCWD, `${root}/d`);
        expect([d.mode & 0o7777, d.uid, d.gid, d.mtimeSec, d.mtimeNsec]).toEqual([0o1777, 1, 2, TIME.sec, TIME.nsec]);
        expect(linux.getxattr(AT_FDCWD, `${root}/d`, "user.a")).toEqual(new Uint8Array(text("b")));
        expect(linux.getxattr(AT_FDCWD, `${root}/d/f`, "user.c")).toEqual(new Uint8Array(text("d")));
        const { rdevMajor, rdevMinor } = linux.statat(AT_FDCWD, `${root}/d/null`);
        expect([rdevMajor, rdevMinor]).toEqual([1, 3]);
      };
      const view = snapshotter.view(layers);
      check(`/proc/self/fd/${view.fd}`);
      view.close();
      inside(snapshotter.prepare(layers, lease.directory(), { volatile: true }).mount(), (root) => {
        check(root);
        const { mode, uid } = statSync(root);
        expect([mode & 0o7777, uid]).toEqual([0o755, 0]);
      });
    });

    test("no layers at all, many, one of them twice, and a deep nest", () => {
      const { store, lease, snapshotter } = open(storage);
      const none = snapshotter.view([]);
      expect(readdirSync(`/proc/self/fd/${none.fd}`)).toEqual([]);
      none.close();
      const nest = Array.from({ length: 60 }, (_, i) => Array.from({ length: i + 1 }, () => "n".repeat(50)).join("/"));
      const deep = layerOf(
        store,
        lease,
        nest.map((path) => dir(path)),
      );
      const many = store.transaction(() =>
        Array.from({ length: 70 }, (_, i) => layerOf(store, lease, [file(`f${i}`), file("top", `${i}`)])),
      );
      const layers = [...many, deep, many[3] as LayerRecord];
      const snapshot = snapshotter.prepare(layers, lease.directory(), { volatile: true });
      inside(snapshot.mount(), (root) => {
        expect(readdirSync(root)).toHaveLength(72);
        expect(readFileSync(`${root}/top`, "utf8")).toBe("3");
        writeFileSync(`${root}/${nest[59]}/f`, "1");
      });
      const lines = linesOf(snapshot.layer());
      expect(Object.keys(lines)).toHaveLength(61);
      expect(lines[`${nest[59]}/f`]).toBe("file 644 0:0 1");
    });

    test("a container's directory is taken up again; what was written is seen, copied and read as of now, its mount points left out", () => {
      const { store, lease, snapshotter } = open(storage);
      const layers = [layerOf(store, lease, [dir("d"), file("d/f"), file("g"), dir("m")])];
      const directory = lease.directory();
      expect(snapshotter.written(layers, directory)).toBeUndefined();
      const untouched = snapshotter.moment(layers, directory);
      expect(readdirSync(`/proc/self/fd/${untouched.fd}`).sort()).toEqual(["d", "g", "m"]);
      untouched.close();
      const first = snapshotter.prepare(layers, directory).mount();
      writeFileSync(`/proc/self/fd/${first}/d/new`, "1234");
      writeFileSync(`/proc/self/fd/${first}/m/stub`, "");
      const amend = (written: number): void => linux.unlinkat(written, "m/stub");
      const copyNow = (): Record<string, string> => {
        const target = lease.directory();
        expect(snapshotter.copyWritten(layers, directory, target, amend)).toBe(true);
        return linesOf(target);
      };
      expect(copyNow()).toEqual({ d: "directory 755 0:0", "d/new": "file 644 0:0 1234" });
      linux.close(first);
      inside(snapshotter.prepare(layers, directory).mount(), (root) => {
        expect(readFileSync(`${root}/d/new`, "utf8")).toBe("1234");
        rmSync(`${root}/g`);
        const written = snapshotter.written(layers, directory);
        const upper = written?.path as string;
        expect([statSync(`${upper}/d/new`).size, linux.statat(AT_FDCWD, `${upper}/g`).rdevMajor]).toEqual([4, 0]);
        written?.close();
        const moment = snapshotter.moment(layers, directory);
        expect(readdirSync(`/proc/self/fd/${moment.fd}`).sort()).toEqual(["d", "m"]);
        moment.close();
      });
      expect(copyNow()).toEqual({ ".wh.g": "whiteout", d: "directory 755 0:0", "d/new": "file 644 0:0 1234" });
      removeTree(linux, directory);
      expect(existsSync(directory)).toBe(false);
    });
  });
}

test("a store has one kind of marks for ever: the user's are read by root with every storage, the machine's root's by nobody else", () => {
  const user = { ...linux, overlayAttributes: () => "user.overlay." as const };
  const { store, lease } = open("copy", user);
  const layers = [
    layerOf(store, lease, [dir("d"), file("d/gone")]),
    layerOf(store, lease, [dir("d"), file("d/.wh..wh..opq", ""), file("d/new")]),
  ];
  for (const storage of storages.filter((name) => skipped[name] === undefined)) {
    const again = openStore({ root: store.root, linux, storage });
    const view = again.snapshotter.view(layers);
    expect(readdirSync(`/proc/self/fd/${view.fd}/d`)).toEqual(["new"]);
    view.close();
    again.close();
  }
  const { store: roots } = open("copy");
  roots.linux.overlayAttributes();
  const others = openStore({ root: roots.root, linux: user, storage: "copy" });
  expect(() => others.snapshotter.view([])).not.toThrow();
  expect(() => others.linux.overlayAttributes()).toThrow("has marks that only the machine's root can read");
  others.close();
});

function open(storage: StorageName, kernel = linux): { store: Store; lease: Lease; snapshotter: Snapshotter } {
  const directory = mkdtempSync(join(tmpdir(), "slipway-snapshotter-"));
  const store = openStore({ root: join(directory, "store"), linux: kernel, storage });
  const lease = store.lease("test");
  cleanups.push(() => {
    lease.release();
    store.close();
    rmSync(directory, { recursive: true, force: true });
  });
  return { store, lease, snapshotter: store.snapshotter };
}

function layerOf(store: Store, lease: Lease, entries: MadeEntry[], impliedDirs?: string[]): LayerRecord {
  const directory = lease.directory();
  const unpacked = unpackTar(store.linux, directory, makeTar(entries));
  return store.layers.adopt(directory, { ...unpacked, ...(impliedDirs === undefined ? {} : { impliedDirs }) }, lease);
}

function adopt(store: Store, lease: Lease, directory: string): LayerRecord {
  const { createHash } = require("node:crypto") as typeof import("node:crypto");
  const tar = packTree(linux, directory);
  const diffID = `sha256:${createHash("sha256").update(tar).digest("hex")}` as const;
  return store.layers.adopt(directory, { diffID, tarSize: tar.length, size: 0, impliedDirs: [] }, lease);
}

function inside(root: number, work: (path: string) => void): void {
  try {
    work(`/proc/${process.pid}/fd/${root}`); // which a child finds, too
  } finally {
    linux.close(root);
  }
}

/** What the tar of a layer's directory says. */
function linesOf(directory: string): Record<string, string> {
  const lines: Record<string, string> = {};
  for (const [path, { type, mode, uid, gid, text: content, linkname, xattrs }] of filesOf(packTree(linux, directory))) {
    const what = linkname === "" ? content : `-> ${linkname}`;
    const attributes = xattrs.map(([name, value]) => `${name}=${Buffer.from(value).toString()}`);
    const words = [type, mode.toString(8), `${uid}:${gid}`, what, ...attributes].filter((word) => word !== "");
    lines[path] = /(^|\/)\.wh\./.test(path) ? "whiteout" : words.join(" ");
  }
  return lines;
}

/** As mv(1) does: where the file system cannot rename, by a copy with all that belongs to the files. */
function move(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch {
    const { success } = Bun.spawnSync(["cp", "-a", from, to]);
    if (!success) throw new Error("no cp");
    rmSync(from, { recursive: true });
  }
}

function quietly(work: () => void): void {
  try {
    work();
  } catch {
    // refused, as it may be
  }
}

function fuseMissing(): string | undefined {
  if (process.getuid?.() !== 0) return "needs root, for mounts";
  if (Bun.which("fuse-overlayfs") === null) return "fuse-overlayfs is not installed";
  return existsSync("/dev/fuse") ? undefined : "there is no /dev/fuse";
}
