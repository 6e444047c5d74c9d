import type { Digest } from "../../oci/digest.ts";
import { ownUsage } from "../../store/diskUsage.ts";
import type { Engine } from "../Engine.ts";
import { removeImage } from "../images/removeImage.ts";
import type { Pruned } from "./pruneContainers.ts";
import type { PruneFilters } from "./pruneFilters.ts";

/**
 * Removes the images without a name that no container uses; with `all` also those with one. What the build cache has of them stays in it, and
 * does not count as freed.
 */
export async function pruneImages(engine: Engine, options: PruneFilters & { all: boolean }): Promise<Pruned> {
  const { store } = engine;
  const { all, before, matchesLabels } = options;
  const content = await contentOf(engine);
  const deleted: string[] = [];
  for (const image of store.images.list()) {
    if (before !== undefined && image.created >= before) continue;
    if (!matchesLabels(image.config.config?.Labels ?? {})) continue;
    const removed = store.transaction(() => {
      if (store.images.get(image.id) === undefined) return undefined;
      const tags = store.images.tags(image.id);
      // One beside that of another platform goes when that goes.
      if (tags.some((tag) => !all || tag.id !== image.id)) return undefined;
      if (store.containers.list().some((container) => container.image === image.id)) return undefined;
      return removeImage(engine, image.id, { force: true });
    });
    if (removed === undefined) continue;
    deleted.push(...removed.untagged.map((name) => `untagged: ${name}`));
    deleted.push(...removed.deleted.map((digest) => `deleted: ${digest}`));
  }
  return { deleted, freed: content() };
}

/** Call it, and then what it gives: bytes of the layers and blobs that went in between. */
async function contentOf(engine: Engine): Promise<() => number> {
  const { store } = engine;
  const layers = (await store.collector()).layerSizes();
  const blobs = new Map<Digest, number>();
  for (const { digest } of store.blobs.list()) blobs.set(digest, ownUsage(store.linux, store.blobs.path(digest)));
  return () => {
    let freed = 0;
    for (const [diffID, size] of layers) if (store.layers.get(diffID) === undefined) freed += size;
    for (const [digest, size] of blobs) if (!store.blobs.has(digest)) freed += size;
    return freed;
  };
}
