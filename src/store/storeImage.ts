import type { Image } from "../image/Image.ts";
import type { Layer } from "../image/Layer.ts";
import { hashedPieces, verified } from "../image/verified.ts";
import { type Compression, compressionKey, compressLayer, layerMediaType, streamOf } from "../layer/compressLayer.ts";
import type { Pieces } from "../layer/compressMembers.ts";
import { decompressStream } from "../layer/decompressStream.ts";
import { packLayer } from "../layer/packLayer.ts";
import type { ImageConfig } from "../oci/config.ts";
import { type Descriptor, dockerTypeOf, mediaTypes, ociTypeOf } from "../oci/descriptor.ts";
import { createHasher, type Digest } from "../oci/digest.ts";
import type { Manifest } from "../oci/manifest.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { madeImage } from "../image/madeImage.ts";
import type { ImageRecord, Store } from "./Store.ts";

/** How the manifest of an image is made that has none, and the layers that have no compressed form yet. */
export interface StoreForm {
  /** gzip where not said. */
  compression?: Compression;
  /** What the store has in another compression is compressed anew. */
  force?: boolean;
  /** Docker's media types instead of the OCI's. */
  dockerTypes?: boolean;
  /** Annotations of the manifest. */
  annotations?: Record<string, string>;
}

/**
 * An image of the store. A pulled image gives its manifest and blobs as they came, by its latest manifest or by `manifest`; the layers of a built
 * one are packed from their directories and compressed when they are asked for, always to the same bytes, and their digest is remembered.
 * @throws SlipwayError `IMAGE_NOT_FOUND`
 */
export function storeImage(store: Store, id: Digest, manifest?: Digest): Image {
  const record = store.images.get(id);
  if (record === undefined) throw new SlipwayError("IMAGE_NOT_FOUND", `no such image: ${id}`);
  const kept = manifest ?? record.manifest;
  return (
    (kept === undefined ? undefined : imageAsItCame(store, record, kept)) ??
    layersImage(store, { config: record.config, rawConfig: () => store.blobs.read(id) })
  );
}

/**
 * The image by a manifest of it; undefined where that is not in the store, or a layer not in the form that it names: one that was here before was
 * not fetched.
 */
export function imageAsItCame(store: Store, { id, config }: ImageRecord, digest: Digest): Image | undefined {
  if (!store.blobs.has(digest)) return undefined;
  const rawManifest = store.blobs.read(digest);
  const manifest = JSON.parse(Buffer.from(rawManifest).toString("utf8")) as Manifest;
  const layers = config.rootfs.diff_ids.map((diffID, i) => keptLayer(store, diffID, manifest.layers[i] as Descriptor));
  if (layers.includes(undefined)) return undefined;
  return {
    mediaType: manifest.mediaType ?? mediaTypes.ociManifest,
    id: async () => id,
    digest: async () => digest,
    manifest: async () => manifest,
    rawManifest: async () => rawManifest,
    config: async () => config,
    rawConfig: async () => store.blobs.read(id),
    layers: async () => layers as Layer[],
  };
}

/** An image of layers of the store under a config, in the form that is asked for; the store need not know it. */
export function layersImage(
  store: Store,
  { config, rawConfig }: { config: ImageConfig; rawConfig: () => Uint8Array },
  form: StoreForm = {},
): Image {
  return madeImage({
    config,
    rawConfig,
    layers: config.rootfs.diff_ids.map((diffID) => storeLayer(store, diffID, form)),
    dockerTypes: form.dockerTypes ?? false,
    annotations: form.annotations ?? {},
  });
}

/** A layer in the very form that a manifest names: its blob, or what packing makes of it again. Undefined where it cannot be had. */
function keptLayer(store: Store, diffID: Digest, blob: Descriptor): Layer | undefined {
  if (store.blobs.has(blob.digest)) return blobOf(store, diffID, blob);
  const compression = reproducible(store, diffID, blob.digest);
  if (compression === undefined) return undefined;
  return madeLayer(store, diffID, { compression, mediaType: blob.mediaType });
}

/** How slipway makes that blob of the layer, where it is known that it does. */
export function reproducible(store: Store, diffID: Digest, digest: Digest): Compression | undefined {
  const usual: Compression[] = [{ format: "gzip" }, { format: "zstd" }];
  return usual.find((each) => store.layers.form(diffID, compressionKey(each))?.digest === digest);
}

/** A layer of the store in the form that the store has, if that will do. */
export function storeLayer(store: Store, diffID: Digest, form: StoreForm = {}): Layer {
  const compression = form.compression ?? { format: "gzip" };
  const wanted = layerMediaType(compression);
  const named = form.dockerTypes === true ? dockerTypeOf : ociTypeOf;
  const blobs = blobsOf(store, diffID);
  const same = blobs.find((each) => ociTypeOf(each.mediaType) === wanted);
  // What is not compressed is no form to leave in, unless it is the one that is wanted.
  const any = blobs.find((each) => ociTypeOf(each.mediaType) !== mediaTypes.ociLayer);
  const blob = same ?? (form.force === true ? undefined : any);
  if (blob !== undefined) return { ...blobOf(store, diffID, blob), mediaType: named(blob.mediaType) };
  return madeLayer(store, diffID, { compression, mediaType: named(wanted) });
}

function blobsOf(store: Store, diffID: Digest): Descriptor[] {
  return store.layers.blobs(diffID).filter((each) => store.blobs.has(each.digest));
}

/** A layer that is compressed when it is asked for. */
function madeLayer(
  store: Store,
  diffID: Digest,
  { compression, mediaType }: { compression: Compression; mediaType: string },
): Layer {
  const record = store.layers.require(diffID);
  // Only the tar that it came from has the diffID: packing gives another one for a layer that slipway did not write.
  const [source] = blobsOf(store, diffID);
  const tar = (): Pieces => (source === undefined ? packed(store, diffID) : tarOf(store, diffID, source.digest));
  const key = compressionKey(compression);
  const pieces = (): Pieces =>
    compression.format === "uncompressed"
      ? tar()
      : hashedPieces(compressLayer(tar(), compression), (found) => store.layers.rememberForm(diffID, key, found));

  let measured: Promise<void> | undefined;
  async function measure(): Promise<void> {
    for await (const _ of pieces());
  }
  const known = (): { digest: Digest; size: number } | undefined =>
    compression.format === "uncompressed" ? { digest: diffID, size: record.tarSize } : store.layers.form(diffID, key);
  async function described(): Promise<{ digest: Digest; size: number }> {
    if (known() === undefined) {
      measured ??= measure();
      await measured;
    }
    const found = known();
    if (found === undefined) throw new Error(`the compressed form of ${diffID} was not remembered`);
    return found;
  }
  return {
    mediaType,
    diffID: async () => diffID,
    digest: async () => (await described()).digest,
    size: async () => (await described()).size,
    known,
    compressed: async () => streamOf(pieces()),
    compressedPieces: pieces,
    uncompressed: async () => streamOf(tar()),
  };
}

/** A layer that the store has a blob of, as it came. */
function blobOf(store: Store, diffID: Digest, blob: { digest: Digest; size: number; mediaType: string }): Layer {
  const compressed = async (): Promise<ReadableStream<Uint8Array>> => verified(open(store, blob.digest), blob);
  return {
    mediaType: blob.mediaType,
    diffID: async () => diffID,
    digest: async () => blob.digest,
    size: async () => blob.size,
    known: () => blob,
    compressed,
    uncompressed: async () =>
      store.blobs.has(blob.digest) ? tarOf(store, diffID, blob.digest) : streamOf(packed(store, diffID)),
  };
}

function open(store: Store, digest: Digest): ReadableStream<Uint8Array> {
  return Bun.file(store.blobs.path(digest)).stream();
}

function tarOf(store: Store, diffID: Digest, blob: Digest): ReadableStream<Uint8Array> {
  return verified(decompressStream(open(store, blob)), { digest: diffID });
}

/** The layer's tar, packed as it is read, and verified; a piece is only valid until the next one. */
function* packed(store: Store, diffID: Digest): Generator<Uint8Array, void> {
  const hasher = createHasher();
  for (const piece of packLayer(store.linux, store.layers.require(diffID).path, { leaving: true })) {
    hasher.update(piece);
    yield piece;
  }
  const found = hasher.digest();
  if (found !== diffID)
    throw new SlipwayError("DIGEST_MISMATCH", `the store's layer ${diffID} is damaged: it packs to ${found}`, {
      hint: "Remove the image and build it again.",
    });
}
