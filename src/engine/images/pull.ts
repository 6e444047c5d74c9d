import type { ImageConfig } from "../../oci/config.ts";
import type { Digest } from "../../oci/digest.ts";
import { hostPlatform } from "../../oci/platform.ts";
import { parseReference, type Reference } from "../../oci/reference.ts";
import type { ResolvedManifest } from "../../registry/createRegistry.ts";
import type { ImageRecord, Lease } from "../../store/Store.ts";
import type { Engine, PullOptions, PullResult } from "../Engine.ts";
import { recordEvent } from "../events/eventLog.ts";
import type { ImageName, ImageSource } from "./fetchBlob.ts";
import { fetchLayers, type LayerWork } from "./fetchLayers.ts";
import { openRegistry } from "./openRegistry.ts";
import { ofPlatform } from "./resolveImage.ts";
import { type ResolvedImage, resolveRemote } from "./resolveRemote.ts";

/**
 * Brings an image into the store by its registry's name: what the store has is not fetched again, layers come and unpack in parallel, every
 * byte is verified, and nothing is recorded before all of it is there. Blobs are kept as they came.
 * @throws SlipwayError those of `Registry.manifest`, `NO_MATCHING_PLATFORM`, `DIGEST_MISMATCH`, `DIFF_ID_MISMATCH`
 */
export async function pull(engine: Engine, name: string, options: PullOptions = {}): Promise<PullResult> {
  engine.beginAnew?.();
  const { store, emit } = engine;
  const reference = parseReference(name);
  emit({ type: "pull.start", reference: reference.canonical });
  const lease = store.lease("pull");
  try {
    if (options.allPlatforms) {
      const { pullIndex } = await import("./pullIndex.ts");
      return done(await pullIndex(engine, reference, { ...options, lease }));
    }
    const remote = await openRemote(engine, reference, { ...options, lease });
    const fetched = await fetchResolved(engine, remote, lease);
    const updated = recordPulled(engine, remote) || fetched;
    return done({ digest: remote.image.top, imageID: remote.image.id, updated });
  } finally {
    lease.release();
  }

  function done(pulled: Omit<PullResult, "reference">): PullResult {
    const { canonical, path } = reference;
    recordEvent(engine, { Type: "image", Action: "pull", id: canonical, attributes: { name: path } });
    emit({ type: "pull.done", reference: canonical, digest: pulled.digest, updated: pulled.updated });
    return { reference: canonical, ...pulled };
  }
}

/** An image of a registry whose layers have not been asked for. */
export interface RemoteImage {
  reference: Reference;
  source: ImageSource;
  image: ResolvedImage;
  /** Aborted when a transfer fails: the others end then, too. */
  stop: AbortController;
}

/** Manifest and config of an image of a registry. Nothing is recorded. @throws SlipwayError as `pull` does */
export async function openRemote(
  engine: Engine,
  reference: Reference,
  options: PullOptions & { lease: Lease },
): Promise<RemoteImage> {
  const stop = new AbortController();
  const signal = AbortSignal.any([engine.signal, stop.signal]);
  const source = openRegistry(engine, reference.domain, { ...options, signal });
  const top = await source.manifest(reference.path, reference.digest ?? reference.tag ?? "latest");
  const image = await resolveRemote(engine, source, reference, { ...options, top });
  return { reference, source, image, stop };
}

/** Brings the layers and the manifest into the store, under the lease. Returns whether something was not there before. */
export async function fetchResolved(
  engine: Engine,
  { source, reference, image, stop }: Omit<RemoteImage, "reference"> & { reference: ImageName },
  lease: Lease,
): Promise<boolean> {
  const { manifest, config, bytes } = image;
  const layers = manifest.layers.map((blob, i): LayerWork => ({ blob, diffID: config.rootfs.diff_ids[i] as Digest }));
  const fetched = await fetchLayers(engine, source, reference, { layers, lease, stop });
  engine.store.blobs.write(bytes, lease);
  if (image.top !== image.digest) engine.store.blobs.write(image.topBytes, lease);
  return fetched;
}

/**
 * Gives an image that is all here its name: beside those of other platforms that came by the same index, instead of anything else. Returns
 * whether the name did not have it.
 */
export function recordPulled({ store: { images, transaction } }: Engine, { reference, image }: RemoteImage): boolean {
  const repository = `${reference.domain}/${reference.path}`;
  const { canonical } = reference;
  return transaction(() => {
    images.put(image.id, image.digest);
    const earlier =
      reference.digest === undefined ? images.byTag(canonical) : images.byRepoDigest(repository, reference.digest);
    const isSame =
      reference.digest === undefined
        ? images.tags(earlier?.id).some((each) => each.reference === canonical && each.repoDigest === image.top)
        : earlier !== undefined;
    const several = images.ofTag(reference.digest === undefined ? canonical : `${repository}@${reference.digest}`);
    const beside = !isSame ? [] : several.length > 0 || earlier === undefined ? several : [earlier];
    const isNew = beside.length > 0 ? beside.every(({ id }) => id !== image.id) : earlier?.id !== image.id;
    const all = beside.map(({ id }) => id);
    if (!all.includes(image.id)) all.push(image.id);
    const records = all.map((id) => images.get(id) as ImageRecord);
    const main = ofPlatform(records, hostPlatform())?.id ?? image.id;
    if (reference.digest === undefined) images.tag(canonical, main, image.top, { images: all, source: image.top });
    images.addRepoDigest(repository, image.top, main, all);
    return isNew;
  });
}

/** Brings an image of another source into the store, under the lease; what names it is the caller's to record. */
export async function fetchImage(
  engine: Engine,
  source: ImageSource,
  reference: ImageName,
  options: PullOptions & { top: ResolvedManifest; lease: Lease },
): Promise<{ id: Digest; digest: Digest; config: ImageConfig }> {
  const image = await resolveRemote(engine, source, reference, options);
  await fetchResolved(engine, { source, reference, image, stop: new AbortController() }, options.lease);
  return { id: image.id, digest: image.digest, config: image.config };
}

/** The tags of a repository in its registry, in the order of their text. @throws SlipwayError those of `Registry` */
export async function tagsOf(
  engine: Engine,
  { domain, path }: Reference,
  options: PullOptions = {},
): Promise<string[]> {
  return (await openRegistry(engine, domain, options).tags(path)).sort();
}

/** The config of an image of a registry, without its layers. Nothing is recorded. @throws SlipwayError as `pull` does */
export async function fetchConfig(
  engine: Engine,
  name: string,
  options: PullOptions & { lease: Lease },
): Promise<{ id: Digest; config: ImageConfig }> {
  const { image } = await openRemote(engine, parseReference(name), options);
  return { id: image.id, config: image.config };
}
