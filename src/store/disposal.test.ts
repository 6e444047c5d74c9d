import { expect, test } from "bun:test";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { withTempDirectory } from "../../test/support/tempDirectory.ts";
import { createLinux } from "../linux/createLinux.ts";
import { type Digest, sha256 } from "../oci/digest.ts";
import { openStore } from "./openStore.ts";
import { putImage } from "./putImage.ts";
import type { ContainerRecord, Lease, Store } from "./Store.ts";

const linux = createLinux();

async function withStore(work: (store: Store) => void): Promise<void> {
  await withTempDirectory((directory) => {
    const store = openStore({ root: join(directory, "store"), linux });
    try {
      work(store);
    } finally {
      store.close();
    }
  });
}

/** An image of one layer which has a blob. */
function image(store: Store, name: string, lease: Lease): { id: Digest; diffID: Digest; blob: Digest } {
  const directory = lease.directory();
  writeFileSync(join(directory, "f"), name);
  const diffID = sha256(name);
  store.layers.adopt(directory, { diffID, tarSize: 9, size: 5, impliedDirs: [] }, lease);
  const blob = store.blobs.write(new TextEncoder().encode(name), lease);
  store.layers.addBlob(diffID, { mediaType: "test", digest: blob, size: name.length });
  const config = { architecture: "amd64", os: "linux", rootfs: { type: "layers" as const, diff_ids: [diffID] } };
  return { id: putImage(store, { config, lease }).imageID, diffID, blob };
}

/** What is there of the store's content: names of blobs, layer directories, layer records. */
function contents(store: Store): { blobs: Digest[]; layers: string[]; records: Digest[] } {
  return {
    blobs: store.blobs
      .list()
      .map(({ digest }) => digest)
      .sort(),
    layers: readdirSync(join(store.root, "layers")),
    records: store.layers.list().map(({ diffID }) => diffID),
  };
}
const nothing = { blobs: [], layers: [], records: [] };

test("what an image had and a lease still holds goes with that lease", () =>
  withStore((store) => {
    const lease = store.lease("test");
    const { id, diffID, blob } = image(store, "a", lease);
    expect(store.images.remove(id)).toEqual([]);
    expect(contents(store)).toEqual({
      blobs: [id, blob].sort(),
      layers: [diffID.slice("sha256:".length)],
      records: [diffID],
    });
    lease.release();
    expect(contents(store)).toEqual(nothing);
    expect(readdirSync(join(store.root, "tmp"))).toEqual([]);
  }));

test("of several leases the last one takes it, though it began to hold after the image had gone", () =>
  withStore((store) => {
    const [first, second, third] = [store.lease("1"), store.lease("2"), store.lease("3")];
    const { id, diffID, blob } = image(store, "a", first);
    second.protect("layer", diffID);
    second.protect("blob", id);
    store.images.remove(id);
    third.protect("layer", diffID);
    third.protect("image", id);
    first.release();
    second.release();
    expect([store.layers.get(diffID)?.diffID, store.blobs.has(id), store.blobs.has(blob)]).toEqual([
      diffID,
      true,
      true,
    ]);
    third.release();
    expect(contents(store)).toEqual(nothing);
  }));

test("what was freed and is in use again stays", () =>
  withStore((store) => {
    const lease = store.lease("test");
    const { id, diffID, blob } = image(store, "a", lease);
    store.images.remove(id);
    store.images.put(id);
    lease.release();
    expect(contents(store)).toMatchObject({ blobs: [id, blob].sort(), records: [diffID] });
    expect(existsSync(join(store.layers.require(diffID).path, "f"))).toBe(true);
  }));

test("a transaction that fails frees nothing, whatever was removed and released in it", () =>
  withStore((store) => {
    const lease = store.lease("test");
    const { id, diffID, blob } = image(store, "a", lease);
    lease.release();
    const inner = store.lease("inner");
    expect(() =>
      store.transaction(() => {
        store.images.remove(id);
        inner.release();
        throw new Error("no");
      }),
    ).toThrow("no");
    expect(contents(store)).toMatchObject({ blobs: [id, blob].sort(), records: [diffID] });
    expect(store.images.remove(id)).toEqual([diffID]);
    expect(contents(store)).toEqual(nothing);
  }));

test("the sweep disposes of what a dead process held, and of what it was about to remove", () =>
  withTempDirectory(async (directory) => {
    const root = join(directory, "store");
    const child = Bun.spawn([process.execPath, join(import.meta.dir, "testChild.ts"), "die", root], { stdout: "pipe" });
    expect(await child.exited).toBe(137);
    const store = openStore({ root, linux });
    try {
      expect(contents(store).records).toHaveLength(1);
      store.sweep();
      expect(contents(store)).toEqual(nothing);
      store.sweep();
    } finally {
      store.close();
    }
  }));

test("the layers of a container outlive their image, and not the container; a container of layers that went is not made", () =>
  withStore((store) => {
    const lease = store.lease("test");
    const { id, diffID } = image(store, "a", lease);
    lease.release();
    const container: ContainerRecord = {
      ...{ id: "c".repeat(64), name: "web", image: id, imageReference: "x", layers: [diffID], created: 1 },
      ...{ status: "created", autoRemove: false, options: {} },
    };
    store.containers.create(container);
    expect(store.images.remove(id)).toEqual([]);
    expect(contents(store).records).toEqual([diffID]);
    store.containers.remove(container.id);
    expect(contents(store)).toEqual(nothing);
    expect(() => store.containers.create(container)).toThrow(expect.objectContaining({ code: "LAYER_NOT_FOUND" }));
    expect([store.containers.list(), readdirSync(join(store.root, "containers"))]).toEqual([[], []]);
  }));
