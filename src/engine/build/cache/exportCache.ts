import { createLayoutWriter } from "../../../archive/layoutWriter.ts";
import { type Descriptor, mediaTypes } from "../../../oci/descriptor.ts";
import { type Digest, sha256 } from "../../../oci/digest.ts";
import { parseReference } from "../../../oci/reference.ts";
import type { Manifest } from "../../../oci/manifest.ts";
import {
  CACHE_CONFIG,
  CACHE_MOUNT_NAME,
  type CacheConfig,
  type CachedLayer,
  type CachedMount,
  cacheManifest,
} from "../../../solve/cacheFormat.ts";
import type { CacheCollector, FoundStep, ImportedCache } from "../../../solve/ImportedCache.ts";
import { compressLayer, streamOf } from "../../../layer/compressLayer.ts";
import { packLayer } from "../../../layer/packLayer.ts";
import { AT_FDCWD } from "../../../linux/constants.ts";
import type { CacheMountRecord } from "../../../store/Store.ts";
import { type StoreForm, storeLayer } from "../../../store/storeImage.ts";
import type { BlobSource } from "../../../registry/uploadBlob.ts";
import { openRegistry } from "../../images/openRegistry.ts";
import type { Engine } from "../../Engine.ts";
import type { Status } from "../vertices.ts";
import type { CacheMode } from "./CacheSpec.ts";

/** What the solver told of one build. */
export interface CollectedCache extends CacheCollector {
  readonly steps: ReadonlyMap<string, FoundStep>;
  readonly trees: ReadonlyMap<string, string>;
}

export function collectCache(): CollectedCache {
  const steps = new Map<string, FoundStep>();
  const trees = new Map<string, string>();
  return {
    steps,
    trees,
    step: (key, found) => void steps.set(key, found),
    tree: (key, value) => void trees.set(key, value),
  };
}

/** Where a cache is written to. */
export interface CacheTarget {
  has(blob: { digest: Digest; size: number }): Promise<boolean>;
  put(source: BlobSource): Promise<{ digest: Digest; size: number }>;
  /** The manifest, under the name that the target stands for. */
  finish(manifest: Manifest): Promise<void>;
  close(): void;
}

export interface ExportWork {
  collected: CollectedCache;
  /** The result's layers. */
  target: readonly Digest[];
  imported: ImportedCache | undefined;
  mode: CacheMode;
  /** How layers are compressed. */
  form: Pick<StoreForm, "compression" | "force">;
  /** Ids of cache mounts. */
  mounts: readonly string[];
  /** Of the build, in seconds: records are then of that time, and the cache's bytes the same every time. */
  epoch: number | undefined;
  status: Status;
}

/** A layout of its own, or one of several tags. */
export function localTarget(engine: Engine, dest: string, tag: string): CacheTarget {
  const writer = createLayoutWriter(engine.store.linux, dest);
  return {
    has: async (blob) => writer.has(blob),
    put: async ({ open }) => writer.put(await open()),
    finish: (manifest) => writer.finish(manifest, tag),
    close: writer.close,
  };
}

/** A tag of a registry's repository. */
export function registryTarget(engine: Engine, name: string): CacheTarget {
  const { domain, path, tag = "latest" } = parseReference(name);
  const registry = openRegistry(engine, domain);
  return {
    has: ({ digest }) => registry.hasBlob(path, digest),
    async put(source) {
      const { digest, size } = await registry.upload(path, source);
      return { digest, size };
    },
    async finish(manifest) {
      const bytes = Buffer.from(JSON.stringify(manifest));
      await registry.putManifest(path, tag, { bytes, mediaType: manifest.mediaType ?? mediaTypes.ociManifest });
    },
    close: () => undefined,
  };
}

/** Writes the build's cache; what is there already is not written again. Layers that no cache gives any more are left out. */
export async function exportCache(engine: Engine, target: CacheTarget, work: ExportWork): Promise<void> {
  const { steps, layers: order } = arrange(work);
  const carried = work.mode === "max" ? new Set(order) : new Set(work.target);
  const blobs: Descriptor[] = [];
  const layers: CachedLayer[] = [];
  for (const diffID of order) {
    engine.signal.throwIfAborted();
    const blob = carried.has(diffID) ? await layerBlob(engine, target, work, diffID) : undefined;
    layers.push({ diffID, ...(blob === undefined ? {} : { blob: blobs.length }) });
    if (blob === undefined) continue;
    blobs.push(blob);
    work.status(`writing layer ${blob.digest}`);
  }
  const trees = sorted(work.collected.trees).map(([key, value]) => ({ key, value }));
  const mounts: CachedMount[] = [];
  for (const record of chosenMounts(engine, work)) {
    const { blob, ...mount } = await writeMount(engine, target, record);
    mounts.push({ ...mount, blob: blobs.length });
    blobs.push(blob);
    work.status(`writing cache mount ${record.id} ${blob.digest}`);
  }
  const config: CacheConfig = { version: 1, layers, steps, trees, mounts };
  const bytes = Buffer.from(JSON.stringify(config));
  const described = { digest: sha256(bytes), size: bytes.length };
  if (!(await target.has(described))) await target.put({ ...described, open: async () => new Blob([bytes]).stream() });
  work.status(`writing config ${described.digest}`);
  await target.finish(cacheManifest({ mediaType: CACHE_CONFIG, ...described }, blobs));
}

/** For an image's own config: layers are places in the image's manifest. */
export function inlineCache(work: Pick<ExportWork, "collected" | "target" | "epoch">): CacheConfig {
  const { steps, layers } = arrange(work);
  return {
    version: 1,
    layers: layers.map((diffID) => {
      const blob = work.target.indexOf(diffID);
      return { diffID, ...(blob < 0 ? {} : { blob }) };
    }),
    steps,
    trees: sorted(work.collected.trees).map(([key, value]) => ({ key, value })),
    mounts: [],
  };
}

/** In an order that depends on what there is alone. */
function arrange({ collected, epoch }: Pick<ExportWork, "collected" | "epoch">) {
  const entries = sorted(collected.steps);
  const layers = [...new Set(entries.map(([, { diffID }]) => diffID))];
  const places = new Map(layers.map((diffID, place) => [diffID, place]));
  const steps = entries.map(([key, { diffID, created }]) => ({
    key,
    layer: places.get(diffID) as number,
    created: epoch === undefined ? created : epoch * 1000,
  }));
  return { layers, steps };
}

function sorted<V>(map: ReadonlyMap<string, V>): [string, V][] {
  return [...map].sort(([a], [b]) => (a < b ? -1 : 1));
}

async function layerBlob(
  { store }: Engine,
  target: CacheTarget,
  { imported, form }: ExportWork,
  diffID: Digest,
): Promise<Descriptor | undefined> {
  if (store.layers.get(diffID) === undefined) {
    // Of an imported cache, and never needed here.
    const promised = await imported?.blob(diffID);
    if (promised === undefined) return undefined;
    const { mediaType, digest, size } = promised;
    if (form.force !== true && (await target.has({ digest, size }))) return { mediaType, digest, size };
    try {
      await imported?.bring([diffID]);
    } catch (error) {
      if (imported?.refuse(error) === true) return undefined;
      throw error;
    }
  }
  const layer = storeLayer(store, diffID, form);
  const found = layer.known?.();
  const known = found && { digest: found.digest, size: found.size };
  const there = known !== undefined && (await target.has(known));
  const blob = there ? known : await target.put({ ...known, open: layer.compressed });
  return { mediaType: layer.mediaType, ...blob };
}

/** Those of the ids; `*`: those that this build holds. One id has several where steps ask for other owners, modes or contents. */
function chosenMounts({ store, emit }: Engine, { mounts }: ExportWork): CacheMountRecord[] {
  if (mounts.length === 0) return [];
  const all = store.cacheMounts.list().filter(({ name }) => CACHE_MOUNT_NAME.test(name));
  const chosen = all
    .filter(({ id, name }) => mounts.includes(id) || (mounts.includes("*") && store.cacheMounts.isHeld(name)))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const id of mounts) {
    if (id === "*" || chosen.some((each) => each.id === id)) continue;
    emit({ type: "warning", message: `there is no cache mount ${id} to be carried along` });
  }
  return chosen;
}

/** A step of another build that has it locked is waited for. The same bytes for the same content. */
async function writeMount(
  { store }: Engine,
  target: CacheTarget,
  { name }: CacheMountRecord,
): Promise<Omit<CachedMount, "blob"> & { blob: Descriptor }> {
  const path = store.cacheMounts.path(name);
  const unlock = await store.lock(`cachemount:${name}`);
  try {
    const { uid, gid, mode } = store.linux.statat(AT_FDCWD, path);
    const open = async (): Promise<ReadableStream<Uint8Array>> =>
      streamOf(compressLayer(packLayer(store.linux, path), { format: "gzip" }));
    const blob = { mediaType: mediaTypes.ociLayerGzip, ...(await target.put({ open })) };
    return { name, uid, gid, mode: mode & 0o7777, blob };
  } finally {
    unlock();
  }
}
