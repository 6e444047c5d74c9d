import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { withTempDirectory } from "../../test/support/tempDirectory.ts";
import { createLinux } from "../linux/createLinux.ts";
import { type Digest, digestHex, sha256 } from "../oci/digest.ts";
import { sizeOf, spaceToKeep } from "./collector.ts";
import { diskUsage } from "./diskUsage.ts";
import { openStore } from "./openStore.ts";
import { putImage } from "./putImage.ts";
import type { Lease, Store } from "./Store.ts";

const linux = createLinux();
const KB = 1000;

async function withStore(work: (store: Store, age: (key: string, minutes: number) => void) => Promise<void>) {
  await withTempDirectory(async (directory) => {
    const root = join(directory, "store");
    const store = openStore({ root, linux });
    const database = new Database(join(root, "slipway.db"));
    try {
      await work(store, (key, minutes) =>
        database.run("UPDATE cache SET used = ? WHERE key = ?", [Date.now() - minutes * 60_000, key]),
      );
    } finally {
      database.close();
      store.close();
    }
  });
}

/** A layer with one file of 100 kB, and a record of the cache under its name. */
function layer(store: Store, lease: Lease, name: string): Digest {
  const directory = lease.directory();
  writeFileSync(join(directory, "file"), Buffer.alloc(100 * KB, 1));
  const diffID = sha256(name);
  store.layers.adopt(directory, { diffID, tarSize: 1, size: 100 * KB, impliedDirs: [] }, lease);
  store.cache.put(name, "{}", [diffID]);
  return diffID;
}

test("the cache shrinks to its limit from what was used longest ago; what an image, a container or a lease has stays", () =>
  withStore(async (store, age) => {
    const lease = store.lease("test");
    const names = ["old", "imaged", "contained", "held", "middle", "new"];
    const ids = new Map(names.map((name) => [name, layer(store, lease, name)]));
    const id = (name: string) => ids.get(name) as Digest;
    for (const [i, name] of names.entries()) age(name, 100 - i);
    const { imageID } = putImage(store, {
      config: { architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: [id("imaged")] } },
      lease,
    });
    store.containers.create({
      ...{ id: "c".repeat(64), name: "some", image: imageID, imageReference: "some", layers: [id("contained")] },
      ...{ created: 1, status: "exited", autoRemove: false, options: {} },
    });
    lease.release();
    const running = store.lease("build");
    running.protect("layer", id("held"));

    const collector = await store.collector();
    const before = collector.entries();
    expect(before.map(({ value: _, ...entry }) => [entry.id, entry.shared, entry.inUse])).toEqual(
      names.map((name) => [id(name), name === "imaged" || name === "contained", name === "held"]),
    );
    const disk = before
      .filter(({ shared }) => !shared)
      .map((entry) => diskUsage(linux, join(store.root, "layers", digestHex(entry.id as Digest))));
    expect(sizeOf(before)).toBe(disk.reduce((a, b) => a + b, 0));

    // A use that is recorded makes it the last to go.
    store.cache.get("middle");
    store.cache.recordUses();
    const collected = await collector.collect({ limits: { maxUsedSpace: 250 * KB } });
    expect(collected.removed.map((entry) => entry.id)).toEqual([id("old"), id("new")]);
    expect(collected.freed).toBe((disk[0] as number) * 2);
    expect(readdirSync(join(store.root, "layers")).sort()).toEqual(
      ["imaged", "contained", "held", "middle"].map((name) => digestHex(id(name))).sort(),
    );
    expect(store.cache.get("old")).toBeUndefined();
    expect(store.cache.get("imaged")).toBeDefined();

    // Without a limit all goes, with `all` also what is known of the layers of others; those stay.
    await collector.collect({ all: true });
    expect(collector.entries().map((entry) => entry.id)).toEqual([id("held")]);
    expect(store.cache.get("imaged")).toBeUndefined();
    expect(store.layers.get(id("imaged"))).toBeDefined();
    expect(store.layers.get(id("contained"))).toBeDefined();
    running.release();
    await collector.collect();
    expect(collector.entries()).toEqual([]);
    // What the cache leaves goes with its container.
    store.containers.remove("c".repeat(64));
    expect(store.layers.list().map(({ diffID }) => diffID)).toEqual([id("imaged")]);
  }));

test("cache mounts, downloads and what is known of contexts are part of the cache, and none goes that is in use", () =>
  withStore(async (store, age) => {
    const lease = store.lease("build");
    for (const name of ["free", "busy"]) {
      store.cacheMounts.use(
        { name, id: `/root/.${name}`, sharing: "shared" },
        name === "busy" ? store.lease("other") : lease,
      );
      mkdirSync(store.cacheMounts.path(name));
      writeFileSync(join(store.cacheMounts.path(name), "f"), Buffer.alloc(50 * KB, 1));
    }
    const fetched = store.blobs.write(Buffer.alloc(30 * KB, 1), lease);
    store.cache.put("http:some", "{}", [], [fetched]);
    const stray = store.blobs.write(Buffer.alloc(20 * KB, 2), lease);
    utimesSync(store.blobs.path(stray), 2, 2);
    mkdirSync(join(store.root, "contexts"));
    writeFileSync(join(store.root, "contexts/abc"), Buffer.alloc(10 * KB, 1));
    utimesSync(join(store.root, "contexts/abc"), 1, 1);
    age("http:some", 5);
    const collector = await store.collector();
    expect((await collector.collect()).removed.map(({ kind, id }) => [kind, id])).toEqual([["context", "abc"]]);
    lease.release();

    expect((await collector.collect({ limits: { maxUsedSpace: 130 * KB } })).removed.map(({ id }) => id)).toEqual([
      stray,
      fetched,
    ]);
    expect(store.blobs.list()).toEqual([]);
    expect(store.cache.get("http:some")).toBeUndefined();
    const { removed, freed } = await collector.collect();
    expect(removed.map(({ kind, id, value }) => [kind, id, value])).toEqual([["mount", "free", "/root/.free"]]);
    expect(freed).toBeGreaterThan(50 * KB);
    expect(readdirSync(join(store.root, "caches"))).toEqual(["busy"]);
    expect(existsSync(store.cacheMounts.path("free"))).toBe(false);
    expect(readdirSync(join(store.root, "tmp"))).toEqual([]);
  }));

test("a directory of a cache mount that a step has asked for again, after its record went and before it did, stays", () =>
  withStore(async (store) => {
    const first = store.lease("build");
    store.cacheMounts.use({ name: "m", id: "m", sharing: "shared" }, first);
    mkdirSync(store.cacheMounts.path("m"));
    first.release();
    const again = store.lease("build");
    store.transaction(() => {
      // The directory goes after the commit; this stands for a step that comes in between.
      expect(store.cacheMounts.remove("m")).toBe(true);
      store.cacheMounts.use({ name: "m", id: "m", sharing: "shared" }, again);
    });
    expect(existsSync(store.cacheMounts.path("m"))).toBe(true);
    expect(store.cacheMounts.remove("m")).toBe(false);
    again.release();
    expect(store.cacheMounts.remove("m")).toBe(true);
    expect(readdirSync(join(store.root, "caches"))).toEqual([]);
  }));

test("the limits are BuildKit's: a cap, less of it where the disk needs the room, and never less than what is reserved", () => {
  const now = { size: 100, free: 50 };
  expect(spaceToKeep({}, now)).toBe(0);
  expect(spaceToKeep({ maxUsedSpace: 80 }, now)).toBe(80);
  expect(spaceToKeep({ reservedSpace: 30 }, now)).toBe(30);
  expect(spaceToKeep({ minFreeSpace: 50 }, now)).toBe(100);
  expect(spaceToKeep({ minFreeSpace: 60 }, now)).toBe(90);
  expect(spaceToKeep({ maxUsedSpace: 80, minFreeSpace: 60 }, now)).toBe(80);
  expect(spaceToKeep({ maxUsedSpace: 80, minFreeSpace: 500, reservedSpace: 40 }, now)).toBe(40);
});

test("a store of the first version keeps its records, and its cache mounts get theirs", () =>
  withTempDirectory(async (directory) => {
    const root = join(directory, "store");
    const made = openStore({ root, linux });
    const lease = made.lease("test");
    const diffID = layer(made, lease, "a");
    lease.release();
    made.settings.set("cachemount:0123", "npm");
    mkdirSync(made.cacheMounts.path("0123"));
    made.close();
    const database = new Database(join(root, "slipway.db"));
    for (const sql of [
      "ALTER TABLE layers DROP COLUMN disk",
      "DROP TABLE cache_blobs",
      "DROP TABLE cache_mounts",
      "DROP TABLE tag_images",
      "ALTER TABLE tags DROP COLUMN annotations",
      "ALTER TABLE tags DROP COLUMN source",
      "DROP TABLE manifests",
      "DROP TABLE manifest_blobs",
      "DROP TABLE manifest_tags",
      "PRAGMA user_version = 1",
    ])
      database.run(sql);
    database.close();
    for (let i = 0; i < 2; i++) {
      const store = openStore({ root, linux });
      expect(store.layers.get(diffID)?.diffID).toBe(diffID);
      expect(store.cacheMounts.list().map(({ name, id }) => [name, id])).toEqual([["0123", "npm"]]);
      store.close();
    }
  }));
