import { statSync } from "node:fs";
import { describeLayer } from "../layer/packLayer.ts";
import { unpackBlob } from "../layer/unpackBlob.ts";
import { AT_FDCWD } from "../linux/constants.ts";
import { createHasher, type Digest } from "../oci/digest.ts";
import { isSlipwayError } from "../oci/SlipwayError.ts";
import type { LayerRecord, Lease, Store } from "./Store.ts";

export interface Recovered {
  /** Layers that were found whole, or made whole from their blobs. */
  kept: Digest[];
  /** Layers that are gone, and the images that had them. */
  lost: Digest[];
  images: Digest[];
}

/**
 * Layers get their records before their bytes are known to be on the disk (`Layers.settle`). After a restart of the machine those that
 * were not are looked at here, once: blobs by their digests; a layer that packs to its diffID is whole; another one is unpacked again from its
 * blob; what can be had by neither way is removed, with the images that contain it, as are images whose config or manifest is damaged.
 * Idempotent; one process does it, others wait.
 */
export async function recoverLayers(store: Store): Promise<Recovered> {
  const result: Recovered = { kept: [], lost: [], images: [] };
  await store.locked("recover", async () => {
    const lease = store.lease("recover");
    try {
      const since = store.doubt.ofEarlierBoot();
      if (since !== undefined) await removeDamagedBlobs(store, since);
      for (const layer of store.layers.unsettled()) {
        if (isWhole(store, layer) || (await restore(store, layer, lease))) {
          store.layers.markSettled([layer.diffID]);
          result.kept.push(layer.diffID);
          continue;
        }
        result.images.push(...removeWithImages(store, layer.diffID));
        result.lost.push(layer.diffID);
      }
      for (const { id, manifest } of store.images.list()) {
        if (store.blobs.has(id) && (manifest === undefined || store.blobs.has(manifest))) continue;
        store.images.remove(id);
        result.images.push(id);
      }
      store.doubt.end();
    } finally {
      lease.release();
    }
  });
  return result;
}

/** A clock that was set meanwhile is forgiven this much. */
const SLACK_MS = 60_000;

/** A blob is named by what is in it, so that each can be proved. */
async function removeDamagedBlobs(store: Store, since: number): Promise<void> {
  for (const { digest } of store.blobs.list()) {
    const path = store.blobs.path(digest);
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined || stat.mtimeMs < since - SLACK_MS) continue;
    const hasher = createHasher();
    for await (const chunk of Bun.file(path).stream()) hasher.update(chunk);
    if (hasher.digest() !== digest) store.blobs.remove(digest);
  }
}

function isWhole(store: Store, layer: LayerRecord): boolean {
  try {
    return describeLayer(store.linux, layer.path).diffID === layer.diffID;
  } catch {
    // Whatever a damaged tree makes of itself, it is not the layer.
    return false;
  }
}

async function restore(store: Store, layer: LayerRecord, lease: Lease): Promise<boolean> {
  const blob = store.layers.blobs(layer.diffID).find(({ digest }) => store.blobs.has(digest as Digest));
  if (blob === undefined) return false;
  const directory = lease.directory();
  store.linux.fchmodat(AT_FDCWD, directory, 0o755);
  try {
    await unpackBlob({
      linux: store.linux,
      blob: store.blobs.path(blob.digest as Digest),
      directory,
      expectedDiffID: layer.diffID,
      lowerPaths: layersBelow(store, layer.diffID),
    });
  } catch (error) {
    if (isSlipwayError(error)) return false;
    throw error;
  }
  store.layers.replace(layer.diffID, directory, lease);
  return true;
}

/** Those that a hard link of the layer may go to: what lies below it in any image that has it. */
function layersBelow(store: Store, diffID: Digest): string[] {
  for (const { config } of store.images.list()) {
    const at = config.rootfs.diff_ids.indexOf(diffID);
    const below = at < 0 ? [] : config.rootfs.diff_ids.slice(0, at).map((each) => store.layers.get(each)?.path);
    if (at >= 0 && below.every((path) => path !== undefined)) return below as string[];
  }
  return [];
}

function removeWithImages(store: Store, diffID: Digest): Digest[] {
  return store.transaction(() => {
    const images = store.images.list().filter(({ config }) => config.rootfs.diff_ids.includes(diffID));
    for (const { id } of images) store.images.remove(id);
    store.layers.remove(diffID);
    return images.map(({ id }) => id);
  });
}
