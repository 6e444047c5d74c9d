import { type Descriptor, mediaTypes } from "../oci/descriptor.ts";
import { type Digest, isDigest } from "../oci/digest.ts";
import type { Manifest } from "../oci/manifest.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";

/** `artifactType` of a manifest that holds a build cache, and the media type of its config. */
export const CACHE_ARTIFACT = "application/vnd.slipway.cache.v1";
export const CACHE_CONFIG = "application/vnd.slipway.cache.config.v1+json";
/** Key of an image's config under which an inline cache stands. */
export const INLINE_CACHE = "slipway.cache.v1";

/**
 * What the cache of a build says. It is the config of an OCI artifact whose layers are the steps' layers as in an image, or it stands in an
 * image's config. Everything is a claim: keys are opaque, and a layer is what it is said to be once it has unpacked to its diffID.
 */
export interface CacheConfig {
  version: 1;
  layers: CachedLayer[];
  /** What came of the steps: `layer` is a place in `layers`, `created` milliseconds. */
  steps: { key: string; layer: number; created: number }[];
  /** Digests of files of layers, as the solver remembers them. */
  trees: { key: string; value: string }[];
  /** Cache mounts that were asked to be carried along. */
  mounts: CachedMount[];
}

/** `name` is that of its directory, which follows from all that a step says of the mount. `blob` is a tar. */
export interface CachedMount {
  name: string;
  uid: number;
  gid: number;
  mode: number;
  blob: number;
}

/** What is a directory of its own for a step that has it alone for a while (`name-1`) is not carried. */
export const CACHE_MOUNT_NAME = /^[0-9a-f]{32}$/;

export interface CachedLayer {
  diffID: Digest;
  /** Place in the manifest's layers. Absent where the cache does not carry the layer: what was built on it can be had, it itself not. */
  blob?: number;
}

/** More than this is no cache of a build. */
export const MAX_CACHE_CONFIG = 64 * 1024 * 1024;

export function cacheManifest(config: Descriptor, layers: Descriptor[]): Manifest {
  return { schemaVersion: 2, mediaType: mediaTypes.ociManifest, artifactType: CACHE_ARTIFACT, config, layers };
}

/**
 * Reads a cache's config; `blobs` is the number of the manifest's layers.
 * @throws SlipwayError `INVALID_CACHE`
 */
export function parseCacheConfig(bytes: Uint8Array, blobs: number): CacheConfig {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch (error) {
    throw invalid("it is not JSON", error);
  }
  const { version, layers, steps, trees, mounts = [] } = (value ?? {}) as Record<string, unknown>;
  if (version !== 1) throw invalid(`it is of version ${JSON.stringify(version)}, and only 1 is known`);
  if (!isList(layers) || !isList(steps) || !isList(trees) || !isList(mounts))
    throw invalid("it has not the shape of one");
  const place = (n: unknown, count: number): n is number =>
    Number.isInteger(n) && (n as number) >= 0 && (n as number) < count;
  return {
    version,
    layers: layers.map(({ diffID, blob }) => {
      if (typeof diffID !== "string" || !isDigest(diffID)) throw invalid(`${JSON.stringify(diffID)} is no diffID`);
      if (blob === undefined) return { diffID: diffID as Digest };
      if (!place(blob, blobs)) throw invalid(`it names blob ${JSON.stringify(blob)} of ${blobs}`);
      return { diffID: diffID as Digest, blob };
    }),
    steps: steps.map(({ key, layer, created }) => {
      if (typeof key !== "string" || !/^[0-9a-f]{64}$/.test(key))
        throw invalid(`${JSON.stringify(key)} is no step's key`);
      if (!place(layer, layers.length)) throw invalid(`it names layer ${JSON.stringify(layer)} of ${layers.length}`);
      if (!Number.isSafeInteger(created) || (created as number) < 0)
        throw invalid(`${JSON.stringify(created)} is no time`);
      return { key, layer, created: created as number };
    }),
    trees: trees.map(({ key, value }) => {
      if (typeof key !== "string" || !/^tree:[0-9a-f]{64}$/.test(key))
        throw invalid(`${JSON.stringify(key)} is no tree's key`);
      if (typeof value !== "string") throw invalid(`${key} has no value`);
      return { key, value };
    }),
    mounts: mounts.map(({ name, uid, gid, mode, blob }) => {
      if (typeof name !== "string" || !CACHE_MOUNT_NAME.test(name))
        throw invalid(`${JSON.stringify(name)} is no cache mount`);
      // The last one means "as it is" to chown(2).
      if (!place(uid, 2 ** 32 - 1) || !place(gid, 2 ** 32 - 1) || !place(mode, 0o10000) || !place(blob, blobs))
        throw invalid(`the cache mount ${name} is not one`);
      return { name, uid, gid, mode, blob };
    }),
  };
}

function isList(value: unknown): value is Record<string, unknown>[] {
  return Array.isArray(value) && value.every((each) => typeof each === "object" && each !== null);
}

function invalid(why: string, cause?: unknown): SlipwayError {
  return new SlipwayError(
    "INVALID_CACHE",
    `the build cache is not valid: ${why}`,
    cause === undefined ? {} : { cause },
  );
}
