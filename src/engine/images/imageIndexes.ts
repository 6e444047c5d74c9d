import { type Built, makeIndex } from "../../image/makeIndex.ts";
import type { ImageConfig } from "../../oci/config.ts";
import { type Descriptor, mediaTypes } from "../../oci/descriptor.ts";
import { type Digest, sha256 } from "../../oci/digest.ts";
import type { Index, Manifest } from "../../oci/manifest.ts";
import { parseConfig } from "../../oci/parseConfig.ts";
import { isIndex, parseManifest } from "../../oci/parseManifest.ts";
import type { Platform } from "../../oci/platform.ts";
import { parseReference, type Reference } from "../../oci/reference.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { copyManifest, type Place } from "./copyManifest.ts";
import type { Engine } from "../Engine.ts";
import { openRegistry, type RegistryAccess } from "./openRegistry.ts";

const MAX_CONFIG_BYTES = 8 * 1024 * 1024;

/** What a registry has under a name. */
export interface Found {
  reference: Reference;
  descriptor: Descriptor;
  bytes: Uint8Array;
  manifest: Manifest | Index;
}

/** Opens each registry once. */
export function createPlaces(engine: Engine, access: RegistryAccess = {}): (reference: Reference) => Place {
  const known = new Map<string, Place["registry"]>();
  return ({ domain, path }) => {
    const registry = known.get(domain) ?? openRegistry(engine, domain, access);
    known.set(domain, registry);
    return { registry, domain, path };
  };
}

/** @throws SlipwayError those of `Registry.manifest` */
export async function findManifest(place: Place, reference: Reference): Promise<Found> {
  const { bytes, digest, mediaType } = await place.registry.manifest(
    place.path,
    reference.digest ?? reference.tag ?? "latest",
  );
  const manifest = parseManifest(bytes);
  const type = manifest.mediaType ?? (mediaType || (isIndex(manifest) ? mediaTypes.ociIndex : mediaTypes.ociManifest));
  return { reference, bytes, manifest, descriptor: { mediaType: type, digest, size: bytes.length } };
}

/** The config of an image of a registry. */
export async function findConfig(place: Place, { config }: Manifest): Promise<ImageConfig> {
  if (config.size > MAX_CONFIG_BYTES)
    throw new SlipwayError("INVALID_IMAGE", `the config ${config.digest} is ${config.size} bytes`);
  const stream = await place.registry.blob(place.path, config);
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  if (sha256(bytes) !== config.digest)
    throw new SlipwayError("DIGEST_MISMATCH", `content that should be ${config.digest} is ${sha256(bytes)}`);
  return parseConfig(bytes, `${place.domain}/${place.path}`);
}

export interface Source {
  descriptor: Descriptor;
  from: Reference;
}

/** The entries that a source gives to an index: an index its own, a manifest itself with the platform of its config. */
export async function entriesOf(place: Place, found: Found): Promise<Source[]> {
  const { manifest, descriptor, reference } = found;
  if (isIndex(manifest)) return manifest.manifests.map((each) => ({ descriptor: each, from: reference }));
  const config = await findConfig(place, manifest);
  const platform: Platform = { os: config.os, architecture: config.architecture };
  if (config.variant !== undefined) platform.variant = config.variant;
  if (config["os.version"] !== undefined) platform["os.version"] = config["os.version"];
  return [{ descriptor: { ...descriptor, platform }, from: reference }];
}

/** Brings an index, and the manifests that other repositories have, to a name. Returns its digest. */
export async function pushIndex(
  places: (reference: Reference) => Place,
  target: Reference,
  built: Built,
  sources: readonly Source[],
): Promise<Digest> {
  const to = places(target);
  for (const { descriptor, from } of sources) await copyManifest(places(from), to, descriptor);
  const { bytes, descriptor } = built;
  await to.registry.putManifest(to.path, target.tag ?? descriptor.digest, { bytes, mediaType: descriptor.mediaType });
  return descriptor.digest;
}

export interface CreateIndexOptions extends RegistryAccess {
  /** Names that the result gets. */
  tags: readonly string[];
  sources: readonly string[];
  /** What the first tag names already comes first. */
  append?: boolean;
  annotations?: Record<string, string>;
  /** Nothing is written. */
  dryRun?: boolean;
}

/**
 * `imagetools create`: an index of the images that the sources name, in their registries, nothing of it in the store. One source that is an index
 * is copied as it is.
 */
export async function createIndex(engine: Engine, options: CreateIndexOptions): Promise<Built> {
  const places = createPlaces(engine, options);
  const tags = options.tags.map((tag) => parseReference(tag));
  const names =
    options.append && options.tags[0] !== undefined ? [options.tags[0], ...options.sources] : options.sources;
  const found: Found[] = [];
  for (const name of names) {
    const reference = parseReference(name);
    found.push(await findManifest(places(reference), reference));
  }
  const annotated = Object.keys(options.annotations ?? {}).length > 0;
  const [only] = found;
  const sources: Source[] = [];
  for (const each of found) sources.push(...(await entriesOf(places(each.reference), each)));
  const built =
    found.length === 1 && only !== undefined && isIndex(only.manifest) && !annotated
      ? { bytes: only.bytes, descriptor: only.descriptor }
      : makeIndex(
          sources.map(({ descriptor }) => descriptor),
          options.annotations,
        );
  if (!options.dryRun) for (const tag of tags) await pushIndex(places, tag, built, sources);
  return built;
}
