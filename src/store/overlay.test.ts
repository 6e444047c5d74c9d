import { afterEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createLinux } from "../linux/createLinux.ts";
import { sha256 } from "../oci/digest.ts";
import { openStore } from "./openStore.ts";
import { createOverlaySnapshotter, type OverlayWay } from "./overlay.ts";
import type { Lease, LayerRecord, Store } from "./Store.ts";

const linux = createLinux();
const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const each of cleanups.splice(0).reverse()) each();
});

function open(): { store: Store; lease: Lease } {
  const directory = mkdtempSync(join(tmpdir(), "slipway-overlay-"));
  const store = openStore({ root: join(directory, "store"), linux });
  cleanups.push(() => {
    store.close();
    rmSync(directory, { recursive: true, force: true });
  });
  return { store, lease: store.lease("test") };
}

let made = 0;
function adopt(store: Store, lease: Lease, directory: string, impliedDirs: string[] = []): LayerRecord {
  const diffID = sha256(`layer ${made++}`);
  return store.layers.adopt(directory, { diffID, tarSize: 0, size: 0, impliedDirs }, lease);
}

function layer(store: Store, lease: Lease, files: Record<string, string>, impliedDirs?: string[]): LayerRecord {
  const directory = lease.directory();
  chmodSync(directory, 0o755);
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true, mode: 0o755 });
    writeFileSync(join(directory, path), content);
  }
  return adopt(store, lease, directory, impliedDirs);
}

function inside<T>(mountfd: number, work: (path: string) => T): T {
  try {
    return work(`/proc/self/fd/${mountfd}`);
  } finally {
    linux.close(mountfd);
  }
}

describe.each<OverlayWay>(["fsconfig", "mount"])("snapshots by %s", (way) => {
  test("a view shows the topmost file of each path and cannot be written", () => {
    const { store, lease } = open();
    const layers = [layer(store, lease, { a: "1", b: "1" }), layer(store, lease, { b: "2" })];
    inside(createOverlaySnapshotter(store, { way }).view(layers), (root) => {
      expect([readFileSync(`${root}/a`, "utf8"), readFileSync(`${root}/b`, "utf8")]).toEqual(["1", "2"]);
      expect(() => writeFileSync(`${root}/c`, "")).toThrow("EROFS");
    });
  });

  test("a layer that comes twice shows and hides what it does where it comes last", () => {
    const { store, lease } = open();
    const twice = layer(store, lease, { "d/a": "twice" });
    const between = layer(store, lease, { "d/a": "between", "d/b": "between" });
    const snapshotter = createOverlaySnapshotter(store, { way });
    const read = (root: string) => ["a", "b"].map((name) => readFileSync(`${root}/d/${name}`, "utf8"));
    inside(snapshotter.view([twice, between, twice]), (root) => expect(read(root)).toEqual(["twice", "between"]));
    const snapshot = snapshotter.prepare([twice, twice], lease.directory());
    inside(snapshot.mount(), (root) => expect(readdirSync(`${root}/d`)).toEqual(["a"]));
  });

  test("no layers at all are an empty view, and an empty root that can be written", () => {
    const { store, lease } = open();
    const snapshotter = createOverlaySnapshotter(store, { way });
    inside(snapshotter.view([]), (root) => expect(readdirSync(root)).toEqual([]));
    const snapshot = snapshotter.prepare([], lease.directory());
    inside(snapshot.mount(), (root) => {
      writeFileSync(`${root}/x`, "1");
      expect(statSync(root).mode & 0o7777).toBe(0o755);
    });
    expect(readFileSync(join(snapshot.upper, "x"), "utf8")).toBe("1");
  });

  test("130 layers are one root file system", () => {
    const { store, lease } = open();
    const layers = store.transaction(() =>
      Array.from({ length: 130 }, (_, i) => layer(store, lease, { [`f${i}`]: `${i}`, top: `${i}` })),
    );
    const snapshotter = createOverlaySnapshotter(store, { way });
    inside(snapshotter.prepare(layers, lease.directory()).mount(), (root) => {
      expect(readdirSync(root)).toHaveLength(131);
      expect(readFileSync(`${root}/top`, "utf8")).toBe("129");
    });
    inside(snapshotter.view(layers), (root) => expect(readdirSync(root)).toHaveLength(131));
  });

  test("an upper directory that becomes a layer shows the same over its parents", () => {
    const { store, lease } = open();
    const snapshotter = createOverlaySnapshotter(store, { way });
    const base = layer(store, lease, { "d/a": "1", "d/b": "1", "e/x": "1", gone: "1" });
    const snapshot = snapshotter.prepare([base], lease.directory(), { volatile: true });
    inside(snapshot.mount(), (root) => {
      writeFileSync(`${root}/d/a`, "2");
      rmSync(`${root}/gone`);
      rmSync(`${root}/e`, { recursive: true });
      mkdirSync(`${root}/e`);
      writeFileSync(`${root}/e/new`, "1");
    });
    const next = adopt(store, lease, snapshot.upper);
    inside(snapshotter.view([base, next]), (root) => {
      expect(readdirSync(root).sort()).toEqual(["d", "e"]);
      expect(readdirSync(`${root}/e`)).toEqual(["new"]);
      expect(readdirSync(`${root}/d`).sort()).toEqual(["a", "b"]);
      expect(readFileSync(`${root}/d/a`, "utf8")).toBe("2");
    });
    const third = snapshotter.prepare([base, next], lease.directory());
    inside(third.mount(), (root) => {
      writeFileSync(`${root}/d/b`, "3");
      expect(readFileSync(`${root}/d/b`, "utf8")).toBe("3");
    });
  });

  test("a directory that a layer only implies keeps the mode and owner that it has below", () => {
    const { store, lease } = open();
    const snapshotter = createOverlaySnapshotter(store, { way });
    const below = lease.directory();
    mkdirSync(join(below, "var/tmp"), { recursive: true });
    chmodSync(join(below, "var/tmp"), 0o1777);
    linux.fchownat(-100, join(below, "var/tmp"), 7, 8);
    const layers = [adopt(store, lease, below), layer(store, lease, { "var/tmp/f": "1" }, ["var", "var/tmp"])];
    inside(snapshotter.view(layers), (root) => {
      const stat = statSync(`${root}/var/tmp`);
      expect([stat.mode & 0o7777, stat.uid, stat.gid]).toEqual([0o1777, 7, 8]);
      expect(readFileSync(`${root}/var/tmp/f`, "utf8")).toBe("1");
    });
    const middle = layer(store, lease, { "var/tmp/own": "1" });
    inside(snapshotter.view([layers[0] as LayerRecord, middle, layers[1] as LayerRecord]), (root) => {
      expect(statSync(`${root}/var/tmp`).mode & 0o7777).toBe(0o755);
    });
  });

  test("the root is 0755 whatever a layer's root is, as no tar holds it, and a container's files are taken up again", () => {
    const { store, lease } = open();
    const snapshotter = createOverlaySnapshotter(store, { way });
    const directory = lease.directory();
    chmodSync(directory, 0o711);
    const layers = [adopt(store, lease, directory)];
    const own = lease.directory();
    inside(snapshotter.prepare(layers, own).mount(), (root) => {
      expect(statSync(root).mode & 0o7777).toBe(0o755);
      writeFileSync(`${root}/kept`, "1");
    });
    inside(snapshotter.prepare(layers, own).mount(), (root) => expect(existsSync(`${root}/kept`)).toBe(true));
  });
});
