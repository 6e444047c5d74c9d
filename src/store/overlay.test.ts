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
import { MNT_DETACH } from "../linux/constants.ts";
import { createLinux } from "../linux/createLinux.ts";
import { type LinuxCall, type RecordingLinux, recordingLinux } from "../linux/recordingLinux.ts";
import { sha256 } from "../oci/digest.ts";
import { openStore } from "./openStore.ts";
import { createOverlaySnapshotter, type OverlayWay } from "./overlay.ts";
import type { View } from "./Snapshotter.ts";
import type { Lease, LayerRecord, Store } from "./Store.ts";

const linux = createLinux();
const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const each of cleanups.splice(0).reverse()) each();
});

function open(kernel = linux, name = "store"): { store: Store; lease: Lease } {
  const directory = mkdtempSync(join(tmpdir(), "slipway-overlay-"));
  const store = openStore({ root: join(directory, name), linux: kernel });
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

function inside<T>(root: number | View, work: (path: string) => T): T {
  const mountfd = typeof root === "number" ? root : root.fd;
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
    expect(readFileSync(join(snapshot.layer(), "x"), "utf8")).toBe("1");
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
    const next = adopt(store, lease, snapshot.layer());
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

describe("what the kernel is asked for", () => {
  /** A kernel that answers every call of a mount, so that 200 layers are only a matter of words. */
  function recorded(
    count: number,
    name?: string,
  ): { store: Store; lease: Lease; recording: RecordingLinux; layers: LayerRecord[] } {
    const recording = recordingLinux(linux);
    const { answer } = recording;
    answer("fsopen", { value: 7001 });
    answer("fsmount", { value: 7002 });
    answer("openTree", { value: 7003 });
    answer("fsMessages", { value: "" });
    for (const each of ["fsconfigString", "fsconfigFlag", "fsconfigCreate", "mount", "umount"] as const)
      answer(each, { value: undefined });
    answer("fsconfigString", { errno: "EINVAL" }, { when: isUnknownKey });
    answer("close", { value: undefined }, { when: (fd) => fd >= 7000 });
    const { store, lease } = open(recording.linux, name);
    const layers = store.transaction(() => Array.from({ length: count }, () => layer(store, lease, {})));
    return { store, lease, recording, layers };
  }
  const mounting = [
    "fsopen",
    "fsconfigString",
    "fsconfigFlag",
    "fsconfigCreate",
    "fsmount",
    "mount",
    "openTree",
    "umount",
  ];
  const words = (calls: LinuxCall[]) =>
    calls
      .filter(({ name, args }) => mounting.includes(name) || (name === "close" && Number(args[0]) >= 7000))
      .map(({ name, args }) => [name, ...args]);
  const isUnknownKey = (_: number, key: string) => key === "no-parameter-of-overlayfs";
  const off = ["redirect_dir", "metacopy", "index", "xino"];

  test("by the mount API: one parameter a layer, the topmost first, and the context is closed", () => {
    const { store, lease, recording, layers } = recorded(200);
    const own = lease.directory();
    const snapshot = createOverlaySnapshotter(store).prepare(layers, own, { volatile: true });
    recording.take();
    expect(snapshot.mount()).toBe(7002);
    expect(words(recording.take())).toEqual([
      ["fsopen", "overlay"],
      ["fsconfigString", 7001, "no-parameter-of-overlayfs", ""],
      ...layers.toReversed().map(({ path }) => ["fsconfigString", 7001, "lowerdir+", path]),
      ["fsconfigString", 7001, "upperdir", join(own, "upper")],
      ["fsconfigString", 7001, "workdir", join(own, "work")],
      ["fsconfigFlag", 7001, "volatile"],
      ...off.map((key) => ["fsconfigString", 7001, key, "off"]),
      ["fsconfigCreate", 7001],
      ["fsmount", 7001, 0],
      ["close", 7001],
    ]);
  });

  test("by mount(2): one call whose options fit in a page, at a place that is left again at once", () => {
    const { store, lease, recording, layers } = recorded(200);
    const own = lease.directory();
    const snapshot = createOverlaySnapshotter(store, { way: "mount" }).prepare(layers, own, { volatile: true });
    recording.take();
    const before = process.cwd();
    expect(snapshot.mount()).toBe(7003);
    expect(process.cwd()).toBe(before);
    const calls = words(recording.take());
    const target = calls[0]?.[2] as string;
    const lower = layers.toReversed().map(({ diffID }) => store.layers.shortPath(diffID));
    const [upper, work] = ["upper", "work"].map((name) => join(own, name).slice(store.root.length + 1));
    const options = [`lowerdir=${lower.join(":")}`, `upperdir=${upper}`, `workdir=${work}`, "volatile"];
    options.push(...off.map((key) => `${key}=off`));
    expect(calls).toEqual([
      ["mount", "overlay", target, "overlay", 0, options.join(",")],
      ["openTree", -100, target],
      ["umount", target, MNT_DETACH],
    ]);
    expect(options.join(",").length).toBeLessThan(4096);
    expect(existsSync(target)).toBe(false);
  });

  test.each(["fsopen", "fsconfigString"] as const)(
    "a kernel whose %s knows no such thing is asked by mount(2), and remembered to be one",
    (call) => {
      const { store, recording, layers } = recorded(2);
      recording.answer(call, { errno: call === "fsopen" ? "ENOSYS" : "EINVAL" });
      const snapshotter = createOverlaySnapshotter(store);
      recording.take();
      expect(snapshotter.view(layers).fd).toBe(7003);
      expect(words(recording.take())[0]?.[0]).toBe("fsopen");
      expect(snapshotter.view(layers).fd).toBe(7003);
      expect(words(recording.take()).map(([name]) => name)).toEqual(["mount", "openTree", "umount"]);
    },
  );

  test("a kernel that takes any parameter before it knows them, as overlayfs did before 6.5, is asked by mount(2), without a mount that fails", () => {
    const { store, recording, layers } = recorded(2);
    recording.answer("fsconfigString", { value: undefined });
    recording.answer("fsconfigCreate", { errno: "EINVAL" });
    recording.take();
    expect(createOverlaySnapshotter(store).view(layers).fd).toBe(7003);
    const names = words(recording.take()).map(([name]) => name);
    expect(names).toEqual(["fsopen", "fsconfigString", "close", "mount", "openTree", "umount"]);
  });

  test("a path too long for a parameter goes by a descriptor, which is closed with the context", () => {
    const { store, recording, layers } = recorded(3, "d".repeat(200));
    recording.take();
    createOverlaySnapshotter(store).view(layers);
    const calls = recording.take();
    const descriptors = calls
      .filter(({ name, args }) => name === "fsconfigString" && args[1] === "lowerdir+")
      .map(({ args }) => Number(/^\/proc\/self\/fd\/(\d+)$/.exec(String(args[2]))?.[1]));
    expect(descriptors).toHaveLength(3);
    const closed = calls.flatMap(({ name, args }) => (name === "close" ? [args[0] as number] : []));
    expect(closed).toEqual(expect.arrayContaining(descriptors));
  });

  test("a refusal carries the kernel's own words, or a hint where it is a matter of privilege", () => {
    const { store, recording, layers } = recorded(2);
    const view = () => createOverlaySnapshotter(store, { way: "fsconfig" }).view(layers);
    recording.answer("fsconfigCreate", { errno: "ESTALE" }, { times: 1 });
    recording.answer("fsMessages", { value: "overlay: one\noverlay: two\n" }, { times: 1 });
    expect(view).toThrow(
      expect.objectContaining({ code: "MOUNT_FAILED", message: expect.stringContaining("overlay: one; overlay: two") }),
    );
    recording.answer("fsopen", { errno: "EPERM" }, { times: 1 });
    expect(view).toThrow(
      expect.objectContaining({ code: "MOUNT_FAILED", hint: expect.stringContaining("user namespace") }),
    );
    const { recording: old, store: oldStore, layers: oldLayers } = recorded(2);
    old.answer("openTree", { errno: "ENOSYS" });
    old.take();
    expect(() => createOverlaySnapshotter(oldStore, { way: "mount" }).view(oldLayers)).toThrow("ENOSYS");
    expect(words(old.take()).map(([name]) => name)).toEqual(["mount", "openTree", "umount"]);
  });
});
