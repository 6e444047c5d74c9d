import { expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { withTempDirectory } from "../../test/support/tempDirectory.ts";
import { createLinux } from "../linux/createLinux.ts";
import type { ImageConfig } from "../oci/config.ts";
import { type Digest, sha256 } from "../oci/digest.ts";
import { isSlipwayError } from "../oci/SlipwayError.ts";
import { defaultRoot, openStore } from "./openStore.ts";
import { putImage } from "./putImage.ts";
import type { ContainerRecord, Store } from "./Store.ts";

const linux = createLinux();

function withStore(work: (store: Store) => void | Promise<void>): Promise<void> {
  return withTempDirectory(async (directory) => {
    const store = openStore({ root: join(directory, "store"), linux });
    try {
      await work(store);
    } finally {
      store.close();
    }
  });
}

function codeOf(work: () => unknown): string | undefined {
  try {
    work();
  } catch (error) {
    return isSlipwayError(error) ? error.code : String(error);
  }
  return undefined;
}

function layer(store: Store, name: string): Digest {
  const lease = store.lease("test");
  const directory = lease.directory();
  writeFileSync(join(directory, "f"), name);
  const diffID = sha256(name);
  store.layers.adopt(directory, { diffID, tarSize: 9, size: 5, impliedDirs: [] }, lease);
  lease.release();
  return diffID;
}

function image(store: Store, ...layers: Digest[]): Digest {
  const lease = store.lease("test");
  const config: ImageConfig = { architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: layers } };
  const { imageID } = putImage(store, { config, lease });
  lease.release();
  return imageID;
}

const bytes = (text: string) => new TextEncoder().encode(text);
const stream = (text: string) => new Blob([text]).stream() as ReadableStream<Uint8Array>;

test("the lock of a killed process goes, one that is held or just made stays", () =>
  withStore(async (store) => {
    const free = await store.lock("held");
    const locks = join(store.root, "locks");
    const [held] = readdirSync(locks);
    for (const name of ["left", "new"]) writeFileSync(join(locks, name), "");
    for (const name of ["left", held as string]) utimesSync(join(locks, name), 1, 1);
    store.sweep();
    expect(readdirSync(locks).sort()).toEqual([held as string, "new"].sort());
    free();
  }));

test("the root of a store is closed to other users", () =>
  withStore((store) => {
    for (const path of ["", "blobs", "layers", "tmp", "containers"])
      expect(statSync(join(store.root, path)).mode & 0o777).toBe(0o700);
  }));

test("a root that cannot be made is one clear error", () =>
  withTempDirectory((directory) => {
    writeFileSync(join(directory, "file"), "");
    expect(codeOf(() => openStore({ root: join(directory, "file/store"), linux }))).toBe("STORE_UNUSABLE");
  }));

test("$SLIPWAY_ROOT wins, then the place of root or of the user", () => {
  expect(defaultRoot({ SLIPWAY_ROOT: "/s", XDG_DATA_HOME: "/x" }, 5)).toBe("/s");
  expect(defaultRoot({ HOME: "/h" }, 0)).toBe("/var/lib/slipway");
  expect(defaultRoot({ XDG_DATA_HOME: "/x", HOME: "/h" }, 5)).toBe("/x/slipway");
  expect(defaultRoot({ HOME: "/h" }, 5)).toBe("/h/.local/share/slipway");
});

test("nothing is kept of a stream that is not what was expected", () =>
  withStore(async (store) => {
    const lease = store.lease("test");
    const digest = sha256("right");
    const code = async (text: string, size: number) =>
      store.blobs.ingest(stream(text), { digest, size }, { lease }).then(
        () => undefined,
        (error) => error.code,
      );
    expect(await code("wrong", 5)).toBe("DIGEST_MISMATCH");
    expect(await code("right and more", 5)).toBe("SIZE_MISMATCH");
    expect(await code("rig", 5)).toBe("SIZE_MISMATCH");
    expect([store.blobs.has(digest), store.blobs.list()]).toEqual([false, []]);
    expect(await code("right", 5)).toBeUndefined();
    expect(new TextDecoder().decode(store.blobs.read(digest))).toBe("right");
    lease.release();
    expect(readdirSync(join(store.root, "tmp"))).toEqual([]);
  }));

test("a damaged blob is told from a whole one", () =>
  withStore((store) => {
    const digest = store.blobs.write(bytes("whole"), store.lease("test"));
    writeFileSync(store.blobs.path(digest), "other");
    expect(codeOf(() => store.blobs.read(digest))).toBe("BLOB_CORRUPT");
    expect(codeOf(() => store.blobs.read(sha256("none")))).toBe("BLOB_NOT_FOUND");
  }));

test("a transaction that fails leaves nothing, and an inner one goes with the outer", () =>
  withStore((store) => {
    expect(() =>
      store.transaction(() => {
        store.transaction(() => store.settings.set("a", "1"));
        throw new Error("no");
      }),
    ).toThrow("no");
    expect(store.settings.get("a")).toBeUndefined();
  }));

test("an image goes with the layers and blobs that nothing else uses, and only with those", () =>
  withStore((store) => {
    const [shared, own] = [layer(store, "shared"), layer(store, "own")];
    const [a, b] = [image(store, shared, own), image(store, shared)];
    store.images.tag("docker.io/library/a:latest", a);
    const path = store.layers.require(own).path;
    expect(store.images.remove(a)).toEqual([own]);
    expect([existsSync(path), store.blobs.has(a), store.blobs.has(b), store.images.tags()]).toEqual([
      false,
      false,
      true,
      [],
    ]);
    expect(store.layers.get(shared)).toBeDefined();
    store.cache.put("step", "value", [shared]);
    expect(store.images.remove(b)).toEqual([]);
    store.layers.remove(shared);
    expect(store.cache.get("step")).toBeUndefined();
  }));

test("an image is found by a prefix of its ID, if it is the only one", () =>
  withStore((store) => {
    const ids = Array.from({ length: 17 }, (_, i) => image(store, layer(store, String(i))));
    const [id] = ids as [Digest];
    expect(store.images.find(id.slice(0, 30))?.id).toBe(id);
    expect(store.images.find(id.slice(7))?.id).toBe(id);
    const crowded = ids.map((each) => each[7] as string).find((digit, i, all) => all.indexOf(digit) !== i) as string;
    expect(codeOf(() => store.images.find(crowded))).toBe("AMBIGUOUS_ID");
    expect(store.images.find("%")).toBeUndefined();
  }));

test("the same config gives the same image ID in whatever order its keys were set", () =>
  withStore((store) => {
    const lease = store.lease("test");
    const rootfs = { type: "layers" as const, diff_ids: [] };
    const one = { architecture: "amd64", os: "linux", rootfs, config: { Labels: { b: "1", a: "2" }, Cmd: ["x"] } };
    const two = { rootfs, config: { Cmd: ["x"], Labels: { a: "2", b: "1" } }, os: "linux", architecture: "amd64" };
    expect(putImage(store, { config: one, lease })).toEqual(putImage(store, { config: two, lease }));
  }));

test("container names are Docker's and unique, and a container is found by name, ID or prefix", () =>
  withStore((store) => {
    const record = (id: string, name: string): ContainerRecord => ({
      ...{ id: id.repeat(64), name, image: sha256(""), imageReference: "x", layers: [], created: 1 },
      ...{ status: "created", autoRemove: false, options: {} },
    });
    store.containers.create(record("a", "web"));
    expect(codeOf(() => store.containers.create(record("b", "web")))).toBe("NAME_IN_USE");
    expect(codeOf(() => store.containers.create(record("b", "../web")))).toBe("INVALID_NAME");
    expect(existsSync(store.containers.directory("b".repeat(64)))).toBe(false);
    for (const key of ["web", "/web", "aa"]) expect(store.containers.find(key).id).toBe("a".repeat(64));
    expect(store.containers.update("a".repeat(64), { status: "running", pid: 7 }).pid).toBe(7);
    expect(codeOf(() => store.containers.find("other"))).toBe("CONTAINER_NOT_FOUND");
    mkdirSync(store.containers.directory("c".repeat(64)));
    store.sweep();
    expect(readdirSync(join(store.root, "containers"))).toEqual(["a".repeat(64)]);
    store.containers.remove("a".repeat(64));
    expect(readdirSync(join(store.root, "containers"))).toEqual([]);
  }));

test("a lease of a living process holds its paths and blobs against the sweep", () =>
  withStore((store) => {
    const lease = store.lease("test");
    const directory = lease.directory();
    const digest = store.blobs.write(bytes("x"), lease);
    mkdirSync(join(store.root, "tmp/stray"));
    store.sweep();
    expect([existsSync(directory), store.blobs.has(digest), existsSync(join(store.root, "tmp/stray"))]).toEqual([
      true,
      true,
      false,
    ]);
    lease.release();
    lease.release();
    expect(existsSync(directory)).toBe(false);
  }));

test("callers of one process take a lock in turn, and a held one is not given", () =>
  withStore(async (store) => {
    const order: string[] = [];
    const work = (name: string) =>
      store.locked("k", async () => {
        order.push(`${name} in`);
        await Bun.sleep(2);
        order.push(`${name} out`);
      });
    const all = Promise.all([work("a"), work("b"), work("c")]);
    expect(store.tryLock("k")).toBeUndefined();
    await all;
    expect(order).toEqual(["a in", "a out", "b in", "b out", "c in", "c out"]);
    const free = store.tryLock("k");
    expect(store.tryLock("k")).toBeUndefined();
    free?.();
    const again = store.tryLock("k");
    expect(again).toBeDefined();
    again?.();
  }));

test("a full disk is one clear error of whatever is written", () =>
  withTempDirectory(async (directory) => {
    linux.mount("tmpfs", directory, "tmpfs", 0, "size=2m");
    try {
      const store = openStore({ root: join(directory, "store"), linux });
      const lease = store.lease("test");
      const big = "x".repeat(4 << 20);
      expect(codeOf(() => store.blobs.write(bytes(big), lease))).toBe("DISK_FULL");
      const ingested = store.blobs.ingest(stream(big), { digest: sha256(big), size: big.length }, { lease });
      expect(await ingested.catch((error) => error.code)).toBe("DISK_FULL");
      expect(store.blobs.list()).toEqual([]);
      lease.release();
      store.close();
    } finally {
      linux.umount(directory);
    }
  }));
