import { readdirSync } from "node:fs";
import { join } from "node:path";
import { type Digest, digestHex } from "../oci/digest.ts";
import { familiarName } from "../oci/reference.ts";
import { type CacheEntry, sizeOf } from "../store/collector.ts";
import { diskUsage as usageOf, ownUsage } from "../store/diskUsage.ts";
import type { ContainerRecord, ImageRecord } from "../store/Store.ts";
import { containerOptions } from "./containers/ContainerOptions.ts";
import { refreshContainers } from "./containers/containerState.ts";
import type { Engine } from "./Engine.ts";
import { buildIdentifiers } from "./prune/pruneBuilds.ts";

/** Bytes on the disk, each file in one place only: all `size`s of the parts together are what `du` says of the store. */
export interface DiskUsage {
  images: { all: ImageUsage[]; size: number; reclaimable: number };
  containers: { all: ContainerUsage[]; size: number; reclaimable: number };
  volumes: { all: VolumeUsage[]; size: number; reclaimable: number };
  /** Beyond what images and containers have. */
  cache: { all: CacheEntry[]; size: number; reclaimable: number };
  /** The database, build records with their logs, locks, what processes are at work on. */
  records: { builds: number; size: number };
}

export interface ImageUsage {
  image: ImageRecord;
  /** Familiar names with tag. */
  names: string[];
  size: number;
  /** Of that, what other images have, too. */
  shared: number;
  containers: number;
}

export interface ContainerUsage {
  record: ContainerRecord;
  size: number;
  volumes: number;
}

export interface VolumeUsage {
  name: string;
  size: number;
  /** Containers that have it mounted. */
  links: number;
}

/** Measures the store. Layers are measured once; all else anew. */
export async function diskUsage(engine: Engine): Promise<DiskUsage> {
  const { store } = engine;
  const { linux, root } = store;
  const collector = await store.collector();
  const cache = collector.entries();
  const layers = collector.layerSizes();
  const containers = refreshContainers(engine, store.containers.list());
  const images = imagesUsage(engine, { layers, containers });
  const ofImages = new Set(store.images.list().flatMap(({ config }) => config.rootfs.diff_ids));
  // Of containers whose image went before.
  const left = new Set(containers.flatMap((record) => record.layers).filter((diffID) => !ofImages.has(diffID)));
  const leftSize = [...left].reduce((sum, diffID) => sum + (layers.get(diffID) ?? 0) + formsSize(engine, diffID), 0);
  const each = containers.map(
    (record): ContainerUsage => ({
      record,
      size: usageOf(linux, store.containers.directory(record.id)),
      volumes: containerOptions(record).mounts.filter(({ type }) => type === "volume").length,
    }),
  );
  const volumes = volumesUsage(engine, containers);
  return {
    images,
    containers: {
      all: each,
      size: sum(each) + leftSize,
      reclaimable: sum(each.filter(({ record }) => !isActive(record))),
    },
    volumes: { all: volumes, size: sum(volumes), reclaimable: sum(volumes.filter(({ links }) => links === 0)) },
    cache: {
      all: cache,
      size: sizeOf(cache),
      reclaimable: sizeOf(cache.filter(({ inUse }) => !inUse)),
    },
    records: { builds: buildIdentifiers(engine).length, size: overhead() },
  };

  /** All that is none of the others': directories themselves, and what no record knows (yet, or any more). */
  function overhead(): number {
    const known: Record<string, ReadonlySet<string>> = {
      layers: new Set([...layers.keys()].map(digestHex)),
      containers: new Set(containers.map(({ id }) => id)),
      volumes: new Set(volumes.map(({ name }) => name)),
      caches: new Set(cache.filter(({ kind }) => kind === "mount").map(({ id }) => id)),
      contexts: new Set(cache.filter(({ kind }) => kind === "context").map(({ id }) => id)),
      trees: new Set(cache.filter(({ kind }) => kind === "list").map(({ id }) => id)),
    };
    let bytes = ownUsage(linux, root);
    for (const part of readdirSync(root)) {
      const path = join(root, part);
      if (part === "blobs") bytes += ownUsage(linux, path) + ownUsage(linux, join(path, "sha256"));
      else if (known[part] === undefined) bytes += usageOf(linux, path);
      else {
        bytes += ownUsage(linux, path);
        for (const name of readdirSync(path)) if (!known[part].has(name)) bytes += usageOf(linux, join(path, name));
      }
    }
    return bytes;
  }
}

function imagesUsage(
  engine: Engine,
  { layers, containers }: { layers: Map<Digest, number>; containers: ContainerRecord[] },
): DiskUsage["images"] {
  const { store } = engine;
  const all = store.images.list();
  /** What each image has: layers, and blobs (those of layers in their compressed forms among them). */
  const parts = new Map(all.map((image) => [image.id, partsOf(engine, image, layers)]));
  const holders = new Map<string, number>();
  const sizes = new Map<string, number>();
  for (const each of parts.values()) {
    for (const [part, size] of each) {
      holders.set(part, (holders.get(part) ?? 0) + 1);
      sizes.set(part, size);
    }
  }
  const used = new Set(containers.flatMap((record) => record.layers.map((diffID) => `layer ${diffID}`)));
  const active = new Set(containers.map(({ image }) => image));
  for (const id of active) for (const part of parts.get(id)?.keys() ?? []) used.add(part);
  return {
    all: all.map((image): ImageUsage => {
      const own = [...(parts.get(image.id) ?? [])];
      return {
        image,
        names: store.images.tags(image.id).map(({ reference }) => familiarName(reference)),
        size: own.reduce((total, [, size]) => total + size, 0),
        shared: own.reduce((total, [part, size]) => total + ((holders.get(part) ?? 0) > 1 ? size : 0), 0),
        containers: containers.filter((record) => record.image === image.id).length,
      };
    }),
    size: [...sizes.values()].reduce((a, b) => a + b, 0),
    reclaimable: [...sizes].reduce((total, [part, size]) => total + (used.has(part) ? 0 : size), 0),
  };
}

function partsOf(engine: Engine, image: ImageRecord, layers: Map<Digest, number>): Map<string, number> {
  const { store } = engine;
  const parts = new Map<string, number>();
  const blob = (digest: Digest) => parts.set(`blob ${digest}`, ownUsage(store.linux, store.blobs.path(digest)));
  for (const diffID of image.config.rootfs.diff_ids) {
    parts.set(`layer ${diffID}`, layers.get(diffID) ?? 0);
    for (const { digest } of store.layers.blobs(diffID)) blob(digest as Digest);
  }
  blob(image.id);
  if (image.manifest !== undefined) blob(image.manifest);
  for (const { digest } of store.images.repoDigests(image.id)) blob(digest);
  for (const { repoDigest } of store.images.tags(image.id)) if (repoDigest !== undefined) blob(repoDigest);
  return parts;
}

function formsSize({ store }: Engine, diffID: Digest): number {
  return store.layers
    .blobs(diffID)
    .reduce((total, { digest }) => total + ownUsage(store.linux, store.blobs.path(digest as Digest)), 0);
}

function volumesUsage(engine: Engine, containers: ContainerRecord[]): VolumeUsage[] {
  const { linux, root } = engine.store;
  const directory = join(root, "volumes");
  return readdirSync(directory)
    .sort()
    .map((name) => ({
      name,
      size: usageOf(linux, join(directory, name)),
      links: containers.filter((record) => containerOptions(record).mounts.some((mount) => mount.name === name)).length,
    }));
}

function isActive({ status }: ContainerRecord): boolean {
  return status === "running" || status === "paused";
}

function sum(parts: readonly { size: number }[]): number {
  return parts.reduce((total, { size }) => total + size, 0);
}
