import type { Descriptor } from "../../oci/descriptor.ts";
import type { Digest } from "../../oci/digest.ts";
import type { Index, Manifest } from "../../oci/manifest.ts";
import { isIndex, parseManifest } from "../../oci/parseManifest.ts";
import { hostPlatform } from "../../oci/platform.ts";
import { pickPlatform } from "../../oci/platformMatch.ts";
import type { Reference } from "../../oci/reference.ts";
import { isSlipwayError, SlipwayError } from "../../oci/SlipwayError.ts";
import { blobsOf } from "../../store/documents.ts";
import { createSemaphore } from "../../solve/semaphore.ts";
import type { Lease, Store } from "../../store/Store.ts";
import { reproducible } from "../../store/storeImage.ts";
import type { Engine, PullOptions, PullResult } from "../Engine.ts";
import { fetchBlob, type ImageName, type ImageSource } from "./fetchBlob.ts";
import { isImageManifest } from "./imageManifest.ts";
import { openRegistry } from "./openRegistry.ts";
import { fetchResolved } from "./pull.ts";
import { platformOf } from "./resolveImage.ts";
import { type ResolvedImage, resolveRemote } from "./resolveRemote.ts";

/** An index in an index, and no more than one deeper. */
const DEPTH = 3;
/** At a time, so that one downloads while another unpacks. */
const IMAGES = 2;

/** Brings all that the reference's index names into the store, under the lease (`fetchIndex`), and gives it the name. @throws SlipwayError as `pull` does */
export async function pullIndex(
  engine: Engine,
  reference: Reference,
  options: PullOptions & { lease: Lease },
): Promise<Omit<PullResult, "reference">> {
  const { store } = engine;
  const { domain, path, canonical } = reference;
  const stop = new AbortController();
  const signal = AbortSignal.any([engine.signal, stop.signal]);
  const source = openRegistry(engine, domain, { ...options, signal });
  const top = await source.manifest(path, reference.digest ?? reference.tag ?? "latest");
  const whole = await fetchIndex(engine, source, reference, { top, lease: options.lease, stop });
  const repository = `${domain}/${path}`;
  const ids = whole.images.map(({ id }) => id);
  const isNew = store.transaction(() => {
    const key = reference.digest === undefined ? canonical : `${repository}@${reference.digest}`;
    const before = store.images.ofTag(key).map(({ id }) => id);
    for (const { id, digest } of whole.images) store.images.put(id, digest);
    keepDocuments(store, repository, whole);
    if (reference.digest === undefined)
      store.images.tag(canonical, whole.main.id, top.digest, { images: ids, source: top.digest });
    store.images.addRepoDigest(repository, top.digest, whole.main.id, ids);
    return before.join() !== ids.join();
  });
  return { digest: top.digest, imageID: whole.main.id, updated: whole.fetched || isNew };
}

interface Document {
  bytes: Uint8Array;
  digest: Digest;
  mediaType: string;
  manifest: Manifest | Index;
}

/** All that an index names, in the store, with no record of it yet. */
export interface WholeIndex {
  documents: Document[];
  /** In the order of the index. */
  images: ResolvedImage[];
  /** The one for this machine, or the first. */
  main: ResolvedImage;
  /** Something was not there before. */
  fetched: boolean;
}

/**
 * Brings what `top` names into the store, under the lease, with every blob in the form that it comes in: the images of this system unpacked; all else
 * (attestations, images of other systems) as it is. `partial`: what the source does not have is left out.
 * @throws SlipwayError as `pull` does
 */
export async function fetchIndex(
  engine: Engine,
  source: ImageSource,
  name: ImageName,
  work: {
    top: { bytes: Uint8Array; digest: Digest; mediaType: string };
    lease: Lease;
    stop: AbortController;
    partial?: boolean;
  },
): Promise<WholeIndex> {
  const { store } = engine;
  const { top, lease, stop, partial = false } = work;
  const documents = new Map<Digest, Document>();
  await visit(top, 0);

  const found = new Map<Digest, ResolvedImage>();
  for (const document of documents.values()) {
    const image = isIndex(document.manifest) ? undefined : await imageOf(document, document.manifest);
    if (image !== undefined && !found.has(image.id)) found.set(image.id, image);
  }
  const ours = [...found.values()].filter(({ config }) => config.os === hostPlatform().os);
  const images = ours.length > 0 ? ours : [...found.values()];
  const platforms = images.map((image) => ({ image, platform: platformOf(image.config) }));
  const main = pickPlatform(hostPlatform(), platforms)?.image ?? images[0];
  if (main === undefined)
    throw new SlipwayError("NO_MATCHING_PLATFORM", `${name.canonical} has no image for ${hostPlatform().os}`);

  let fetched = false;
  const slots = createSemaphore(IMAGES);
  const results = await Promise.allSettled(
    images.map((image) =>
      slots(async () => {
        stop.signal.throwIfAborted();
        if (await fetchResolved(engine, { source, reference: name, image, stop }, lease)) fetched = true;
        await keepBlobs(engine, source, name, { image, lease });
      }),
    ),
  );
  for (const result of results) if (result.status === "rejected") throw result.reason;
  const unpacked = new Set(images.map(({ digest }) => digest));
  for (const { digest, manifest } of documents.values())
    if (!isIndex(manifest) && !unpacked.has(digest) && (await fetchKept(manifest))) fetched = true;
  return { documents: [...documents.values()], images, main, fetched };

  /** Below it first, so that what is written is named by what comes. */
  async function visit(document: Omit<Document, "manifest">, depth: number): Promise<void> {
    const manifest = parseManifest(document.bytes);
    if (isIndex(manifest)) {
      if (depth === DEPTH)
        throw new SlipwayError("INVALID_MANIFEST", `${name.canonical} is an index of indexes without end`);
      for (const each of manifest.manifests) {
        if (documents.has(each.digest)) continue;
        const below = await child(each);
        if (below !== undefined) await visit(below, depth + 1);
      }
    }
    store.blobs.write(document.bytes, lease);
    documents.set(document.digest, { ...document, manifest });
  }

  async function child({ digest, size }: Descriptor): Promise<Omit<Document, "manifest"> | undefined> {
    let bytes: Uint8Array;
    let mediaType = "";
    lease.protect("blob", digest);
    try {
      if (store.blobs.has(digest)) bytes = store.blobs.read(digest);
      else ({ bytes, mediaType } = await source.manifest(name.path, digest));
    } catch (error) {
      // Docker saves an index whole, and what it has of it.
      if (partial && isSlipwayError(error, "BLOB_UNKNOWN")) return undefined;
      throw error;
    }
    if (bytes.length !== size)
      throw new SlipwayError(
        "SIZE_MISMATCH",
        `manifest ${digest} of ${name.canonical} has ${bytes.length} bytes instead of ${size}`,
      );
    return { bytes, digest, mediaType };
  }

  /** Undefined where it is none. */
  async function imageOf(document: Document, manifest: Manifest): Promise<ResolvedImage | undefined> {
    if (!isImageManifest(manifest)) return undefined;
    try {
      const image = await resolveRemote(engine, source, name, { top: document, lease });
      return { ...image, top: top.digest, topBytes: top.bytes };
    } catch (error) {
      // An attestation may have the media types of an image.
      if (document.digest !== top.digest && isSlipwayError(error, "INVALID_IMAGE")) return undefined;
      if (partial && document.digest !== top.digest && isSlipwayError(error, "BLOB_UNKNOWN")) return undefined;
      throw error;
    }
  }

  async function fetchKept(manifest: Manifest): Promise<boolean> {
    let some = false;
    for (const blob of blobsOf(manifest)) {
      const { digest, size: total } = blob;
      lease.protect("blob", digest);
      const isLayer = digest !== manifest.config.digest;
      if (store.blobs.has(digest)) {
        if (isLayer) engine.emit({ type: "pull.layer", digest, status: "exists" });
        continue;
      }
      const onProgress = (current: number): void =>
        engine.emit({ type: "pull.layer", digest, status: "downloading", current, total });
      try {
        await fetchBlob(engine, source, name, blob, { lease, ...(isLayer ? { onProgress } : {}) });
      } catch (error) {
        if (partial && isSlipwayError(error, "BLOB_UNKNOWN")) continue;
        throw error;
      }
      if (isLayer) engine.emit({ type: "pull.layer", digest, status: "done" });
      some = true;
    }
    return some;
  }
}

/** A layer that was here before was not read: its blob is kept as well, so that the image leaves by the digest that it came by. */
export async function keepBlobs(
  engine: Engine,
  source: ImageSource,
  name: ImageName,
  { image, lease }: { image: Pick<ResolvedImage, "manifest" | "config">; lease: Lease },
): Promise<void> {
  const { store } = engine;
  for (const [i, blob] of image.manifest.layers.entries()) {
    const diffID = image.config.rootfs.diff_ids[i] as Digest;
    if (store.blobs.has(blob.digest) || reproducible(store, diffID, blob.digest) !== undefined) continue;
    await fetchBlob(engine, source, name, blob, { lease });
    store.layers.addBlob(diffID, blob);
  }
}

/** Records them as the repository's, until their image goes, or the main one where they are of none. In a transaction with the records of the images. */
export function keepDocuments(store: Store, repository: string, { documents, images, main }: WholeIndex): void {
  for (const { digest, bytes, mediaType, manifest } of documents) {
    const subject = manifest.subject?.digest;
    store.manifests.put(
      {
        ...{ repository, digest, mediaType: manifest.mediaType ?? mediaType, size: bytes.length },
        ...(manifest.artifactType === undefined ? {} : { artifactType: manifest.artifactType }),
        ...(subject === undefined ? {} : { subject }),
        ...(manifest.annotations === undefined ? {} : { annotations: manifest.annotations }),
      },
      isIndex(manifest) ? [] : blobsOf(manifest).flatMap(({ digest: blob }) => (store.blobs.has(blob) ? [blob] : [])),
    );
    if (store.manifests.get(repository, digest)?.image === undefined)
      store.manifests.belong(repository, digest, (images.find((image) => image.digest === digest) ?? main).id);
  }
}
