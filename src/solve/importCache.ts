import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { extractArchive } from "../layer/archive.ts";
import { unpackBlob } from "../layer/unpackBlob.ts";
import { AT_FDCWD, O_CREAT, O_EXCL, O_RDWR } from "../linux/constants.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import { createHasher, type Digest } from "../oci/digest.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import type { Lease, Store } from "../store/Store.ts";
import type { CacheConfig } from "./cacheFormat.ts";
import { clampedKey } from "./commitLayer.ts";
import { type FoundStep, type ImportedCache, LayersMissing } from "./ImportedCache.ts";

/** A place that a cache is read from. */
export interface CacheSource {
  /** As progress and warnings name it. */
  name: string;
  load(): Promise<LoadedCache>;
}

export interface LoadedCache {
  config: CacheConfig;
  /** The manifest's layers. */
  blobs: Descriptor[];
  /** Need not be verified. */
  open(blob: Descriptor): Promise<ReadableStream<Uint8Array>>;
}

export interface ImportOptions {
  store: Store;
  lease: Lease;
  signal: AbortSignal;
  /** Of the build: see `SolveContext.epoch`. */
  epoch?: number;
  /** Shows work as a step of the progress. */
  internal<T>(name: string, work: (status: (text: string) => void) => Promise<T>): Promise<T>;
  warn(message: string): void;
}

/**
 * Caches of other builds, the first one's word first. Their records are read when a step is missed for the first time. What cannot be read,
 * or is not what it says, is told once and passed by: it makes a build slower, never wrong.
 */
export function importCache(sources: readonly CacheSource[], options: ImportOptions): ImportedCache {
  const { store, lease, signal } = options;
  const refused = new Set<Digest>();
  const taken = new Map<Digest, Map<string, FoundStep>>();
  const coming = new Map<Digest, Promise<boolean>>();
  let loaded: Promise<Records[]> | undefined;

  function all(): Promise<Records[]> {
    loaded ??= Promise.all(sources.map(readRecords)).then((each) => each.filter((found) => found !== undefined));
    return loaded;
  }

  async function readRecords(source: CacheSource): Promise<Records | undefined> {
    try {
      return await options.internal(`importing cache manifest from ${source.name}`, async () =>
        toRecords(await source.load()),
      );
    } catch (error) {
      signal.throwIfAborted();
      options.warn(`the cache ${source.name} is not used: ${(error as Error).message}`);
      return undefined;
    }
  }

  /** Remembers in the store what the build took, now that the layer is proved. */
  function settle(diffID: Digest): void {
    const records = taken.get(diffID);
    if (records === undefined) return;
    taken.delete(diffID);
    store.transaction(() => {
      for (const [key, found] of records) store.cache.put(key, JSON.stringify(found), [diffID]);
      if (options.epoch !== undefined) store.cache.put(clampedKey(diffID), "", [diffID]);
    });
  }

  /** False where no cache gives it. */
  async function bringOne(diffID: Digest): Promise<boolean> {
    lease.protect("layer", diffID);
    if (store.layers.get(diffID) !== undefined) return true;
    for (const { cache, blobs } of await all()) {
      const blob = blobs.get(diffID);
      if (blob === undefined || refused.has(diffID)) continue;
      try {
        await options.internal(`loading cached layer ${diffID}`, () => fetchLayer(cache, blob, diffID));
        return true;
      } catch (error) {
        signal.throwIfAborted();
        options.warn(`a cached layer is not used: ${(error as Error).message}`);
      }
    }
    return false;
  }

  /** Not kept as a blob: the directory goes its own way from here on. */
  async function unpackMount(cache: LoadedCache, blob: Descriptor, directory: string): Promise<void> {
    const { linux } = store;
    const fd = linux.openat(AT_FDCWD, join(lease.directory(), "mount"), O_RDWR | O_CREAT | O_EXCL, 0o600);
    try {
      const hasher = createHasher();
      let size = 0;
      for await (const chunk of await cache.open(blob)) {
        size += chunk.length;
        if (size > blob.size) break;
        hasher.update(chunk);
        linux.write(fd, chunk);
      }
      const digest = hasher.digest();
      if (digest !== blob.digest || size !== blob.size)
        throw new SlipwayError("DIGEST_MISMATCH", `content that should be ${blob.digest} is ${digest}`);
      await extractArchive({ linux, fd, directory });
    } finally {
      linux.close(fd);
    }
  }

  async function fetchLayer(cache: LoadedCache, blob: Descriptor, diffID: Digest): Promise<void> {
    await store.locked(`layer:${diffID}`, async () => {
      if (store.layers.get(diffID) !== undefined) return; // another process has brought it meanwhile
      signal.throwIfAborted();
      lease.protect("blob", blob.digest);
      if (!store.blobs.has(blob.digest)) await store.blobs.ingest(await cache.open(blob), blob, { lease });
      const directory = lease.directory();
      store.linux.fchmodat(AT_FDCWD, directory, 0o755);
      const unpacked = await unpackBlob({
        linux: store.linux,
        blob: store.blobs.path(blob.digest),
        directory,
        expectedDiffID: diffID,
      });
      store.transaction(() => {
        store.layers.adopt(directory, unpacked, lease);
        store.layers.addBlob(diffID, { mediaType: blob.mediaType, digest: blob.digest, size: blob.size });
      });
    });
  }

  return {
    async step(key) {
      for (const { steps } of await all()) {
        const found = steps.get(key);
        if (found !== undefined && !refused.has(found.diffID)) return found;
      }
      return undefined;
    },
    take(key, found) {
      const records = taken.get(found.diffID) ?? new Map<string, FoundStep>();
      taken.set(found.diffID, records.set(key, found));
      lease.protect("layer", found.diffID);
      if (store.layers.get(found.diffID) !== undefined) settle(found.diffID);
    },
    async tree(key) {
      for (const { trees } of await all()) {
        const value = trees.get(key);
        if (value !== undefined) return value;
      }
      return undefined;
    },
    async bring(layers) {
      const missing: Digest[] = [];
      await Promise.all(
        [...new Set(layers)].map(async (diffID) => {
          if (store.layers.get(diffID) === undefined) {
            const here = coming.get(diffID) ?? bringOne(diffID);
            coming.set(diffID, here);
            if (!(await here)) missing.push(diffID);
            else settle(diffID);
          }
        }),
      );
      if (missing.length > 0) throw new LayersMissing(missing);
    },
    async mount(name, directory) {
      for (const { cache } of await all()) {
        const found = cache.config.mounts.find((each) => each.name === name);
        if (found === undefined) continue;
        const blob = cache.blobs[found.blob] as Descriptor;
        try {
          await options.internal(`loading cache mount ${blob.digest}`, () => unpackMount(cache, blob, directory));
          return found;
        } catch (error) {
          signal.throwIfAborted();
          options.warn(`a cache mount begins empty: ${(error as Error).message}`);
          emptyDirectory(directory);
        }
      }
      return undefined;
    },
    async blob(diffID) {
      if (refused.has(diffID)) return undefined;
      for (const { blobs } of await all()) {
        const found = blobs.get(diffID);
        if (found !== undefined) return found;
      }
      return undefined;
    },
    refuse(error) {
      if (!(error instanceof LayersMissing)) return false;
      const before = refused.size;
      for (const diffID of error.layers) {
        refused.add(diffID);
        taken.delete(diffID);
        coming.delete(diffID);
      }
      return refused.size > before;
    },
  };
}

function emptyDirectory(directory: string): void {
  for (const name of readdirSync(directory)) rmSync(join(directory, name), { recursive: true });
}

interface Records {
  cache: LoadedCache;
  steps: Map<string, FoundStep>;
  trees: Map<string, string>;
  blobs: Map<Digest, Descriptor>;
}

function toRecords(cache: LoadedCache): Records {
  const { layers, steps, trees } = cache.config;
  const blobs = new Map<Digest, Descriptor>();
  for (const { diffID, blob } of layers) if (blob !== undefined) blobs.set(diffID, cache.blobs[blob] as Descriptor);
  return {
    cache,
    blobs,
    steps: new Map(steps.map(({ key, layer, created }) => [key, { diffID: layers[layer]?.diffID as Digest, created }])),
    trees: new Map(trees.map(({ key, value }) => [key, value])),
  };
}
