import { expect, test } from "bun:test";
import { Database } from "bun:sqlite";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeTar, unpackTar } from "../../test/support/layerTar.ts";
import { withTempDirectory } from "../../test/support/tempDirectory.ts";
import { describeLayer } from "../layer/packLayer.ts";
import { createLinux } from "../linux/createLinux.ts";
import { type Digest, sha256 } from "../oci/digest.ts";
import { openStore } from "./openStore.ts";
import { putImage } from "./putImage.ts";
import { recoverLayers } from "./recoverLayers.ts";
import type { Lease, Store } from "./Store.ts";

const linux = createLinux();

test("after a restart a layer that reached the disk stays, a damaged one comes back from its blob, and what has none goes with its images", () =>
  withTempDirectory(async (directory) => {
    const store = openStore({ root: join(directory, "store"), linux });
    const [whole, pulled, lost] = [built(store, "whole"), fromBlob(store), built(store, "lost")];
    const images = [image(store, whole), image(store, whole, pulled), image(store, whole, lost), image(store)];
    const loose = withLease(store, (lease) => store.blobs.write(new TextEncoder().encode("loose"), lease));
    expect(store.layers.unsettled()).toEqual([]);

    restartMachine(store);
    // What a file system may show after a loss of power: the name is there, the bytes are not.
    writeFileSync(join(store.layers.require(pulled).path, "file"), "");
    writeFileSync(join(store.layers.require(lost).path, "file"), "");
    for (const digest of [images[3] as Digest, loose]) writeFileSync(store.blobs.path(digest), "");
    expect(store.doubt.ofEarlierBoot()).toBeDefined();
    expect(store.layers.unsettled().map(({ diffID }) => diffID)).toEqual([whole, pulled, lost]);
    const recovered = await recoverLayers(store);

    expect(recovered).toEqual({ kept: [whole, pulled], lost: [lost], images: images.slice(2) });
    expect([store.blobs.has(loose), store.doubt.ofEarlierBoot()]).toEqual([false, undefined]);
    expect(readFileSync(join(store.layers.require(pulled).path, "file"), "utf8")).toBe("from the blob");
    expect(readFileSync(join(store.layers.require(whole).path, "file"), "utf8")).toBe("whole");
    expect(store.images.list().map(({ id }) => id)).toEqual(expect.arrayContaining(images.slice(0, 2) as Digest[]));
    expect(store.images.list()).toHaveLength(2);
    expect(store.layers.get(lost)).toBeUndefined();
    expect(await recoverLayers(store)).toEqual({ kept: [], lost: [], images: [] });
    store.close();
  }));

function built(store: Store, content: string): Digest {
  const lease = store.lease("test");
  const upper = lease.directory();
  writeFileSync(join(upper, "file"), content);
  const { diffID } = store.layers.adopt(upper, describeLayer(linux, upper), lease);
  lease.release();
  return diffID;
}

/** A layer whose tar is not the one that we would make of it. */
function fromBlob(store: Store): Digest {
  const lease = store.lease("test");
  const tar = makeTar([{ path: "./file", content: "from the blob", mode: 0o600 }]);
  const digest = store.blobs.write(tar, lease);
  const upper = lease.directory();
  const { diffID } = store.layers.adopt(upper, unpackTar(linux, upper, tar), lease);
  store.layers.addBlob(diffID, { mediaType: "application/vnd.oci.image.layer.v1.tar", digest, size: tar.length });
  expect(diffID).toBe(sha256(tar));
  lease.release();
  return diffID;
}

function withLease<T>(store: Store, work: (lease: Lease) => T): T {
  const lease = store.lease("test");
  try {
    return work(lease);
  } finally {
    lease.release();
  }
}

function image(store: Store, ...layers: Digest[]): Digest {
  const lease = store.lease("test");
  const config = { architecture: "amd64", os: "linux", rootfs: { type: "layers" as const, diff_ids: layers } };
  const { imageID } = putImage(store, { config, lease });
  lease.release();
  return imageID;
}

function restartMachine(store: Store): void {
  const database = new Database(join(store.root, "slipway.db"));
  database.run("UPDATE layers SET unsynced_boot = 'an earlier boot'");
  database.run("UPDATE settings SET value = json_set(value, '$.boot', 'an earlier boot') WHERE key = 'unsettled'");
  database.close();
}
