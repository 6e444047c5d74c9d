import type { Image } from "../image/Image.ts";
import type { Layer } from "../image/Layer.ts";
import { compressGzip } from "../layer/compressGzip.ts";
import { type PackOptions, packLayer } from "../layer/packLayer.ts";
import type { ImageConfig } from "../oci/config.ts";
import { type Descriptor, mediaTypes } from "../oci/descriptor.ts";
import { createHasher, type Digest, sha256 } from "../oci/digest.ts";
import type { Manifest } from "../oci/manifest.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import type { Store } from "./Store.ts";

/**
 * An image of the store. A pulled image gives its manifest and blobs as they came; the layers of a built one are packed from their
 * directories and compressed when they are asked for, always to the same bytes, and their digest is remembered.
 * @throws SlipwayError `IMAGE_NOT_FOUND`
 */
export function storeImage(store: Store, id: Digest): Image {
  const record = store.images.get(id);
  if (record === undefined) throw new SlipwayError("IMAGE_NOT_FOUND", `no such image: ${id}`);
  const kept = record.manifest !== undefined && store.blobs.has(record.manifest) ? record.manifest : undefined;
  const rawConfig = async (): Promise<Uint8Array> => store.blobs.read(id);
  const layers = async (): Promise<Layer[]> => record.config.rootfs.diff_ids.map((diffID) => storeLayer(store, diffID));
  let made: Promise<Uint8Array> | undefined;

  async function makeManifest(): Promise<Uint8Array> {
    const descriptors: Descriptor[] = [];
    for (const layer of await layers()) {
      descriptors.push({ mediaType: layer.mediaType, digest: await layer.digest(), size: await layer.size() });
    }
    const config = await rawConfig();
    const manifest: Manifest = {
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: { mediaType: mediaTypes.ociConfig, digest: id, size: config.length },
      layers: descriptors,
    };
    return Buffer.from(JSON.stringify(manifest));
  }

  const rawManifest = async (): Promise<Uint8Array> => {
    if (kept !== undefined) return store.blobs.read(kept);
    made ??= makeManifest();
    return made;
  };
  const manifest = async (): Promise<Manifest> =>
    JSON.parse(Buffer.from(await rawManifest()).toString("utf8")) as Manifest;
  return {
    mediaType: kept === undefined ? mediaTypes.ociManifest : (keptMediaType(store, kept) ?? mediaTypes.ociManifest),
    id: async () => id,
    digest: async () => sha256(await rawManifest()),
    manifest,
    rawManifest,
    config: async () => record.config as ImageConfig,
    rawConfig,
    layers,
  };
}

function keptMediaType(store: Store, manifest: Digest): string | undefined {
  const parsed = JSON.parse(Buffer.from(store.blobs.read(manifest)).toString("utf8")) as Manifest;
  return parsed.mediaType;
}

/** A layer of the store in the form that an image of the store gives it. */
export function storeLayer(store: Store, diffID: Digest): Layer {
  const record = store.layers.require(diffID);
  const blob = store.layers.blobs(diffID).find((each) => store.blobs.has(each.digest));
  let described: Promise<Descriptor> | undefined;

  const uncompressed = async (): Promise<ReadableStream<Uint8Array>> => packed(store, record.path);
  const compressed = async (): Promise<ReadableStream<Uint8Array>> =>
    blob === undefined ? compressGzip(packed(store, record.path)) : Bun.file(store.blobs.path(blob.digest)).stream();

  async function describe(): Promise<Descriptor> {
    if (blob !== undefined) return blob;
    const remembered = store.layers.blobs(diffID).find((each) => each.mediaType === mediaTypes.ociLayerGzip);
    if (remembered !== undefined) return remembered;
    const hasher = createHasher();
    let size = 0;
    for await (const chunk of await compressed()) {
      hasher.update(chunk);
      size += chunk.length;
    }
    const descriptor: Descriptor = { mediaType: mediaTypes.ociLayerGzip, digest: hasher.digest(), size };
    store.layers.addBlob(diffID, descriptor);
    return descriptor;
  }
  const descriptor = (): Promise<Descriptor> => {
    described ??= describe();
    return described;
  };

  return {
    mediaType: blob?.mediaType ?? mediaTypes.ociLayerGzip,
    diffID: async () => diffID,
    digest: async () => (await descriptor()).digest,
    size: async () => (await descriptor()).size,
    known: () => blob ?? store.layers.blobs(diffID).find((each) => each.mediaType === mediaTypes.ociLayerGzip),
    compressed,
    uncompressed,
  };
}

/** The layer's tar, packed as it is read. */
export function packed(
  store: Store,
  directory: string,
  options: PackOptions = { leaving: true },
): ReadableStream<Uint8Array> {
  const pieces = packLayer(store.linux, directory, options);
  return new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const { done, value } = pieces.next();
        if (done === true) controller.close();
        else controller.enqueue(value.slice()); // a piece is only valid until the next one
      },
      cancel() {
        pieces.return({ size: 0 });
      },
    },
    { highWaterMark: 0 },
  );
}
