import type { Layer } from "../image/Layer.ts";
import { verified } from "../image/verified.ts";
import { type Descriptor, mediaTypes } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import type { Index, Manifest } from "../oci/manifest.ts";
import { isIndex, parseManifest } from "../oci/parseManifest.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import type { Store } from "./Store.ts";
import { imageAsItCame } from "./storeImage.ts";

/** A manifest or index that came from elsewhere, a blob of the store. */
export interface Part {
  descriptor: Descriptor;
  bytes: Uint8Array;
  manifest: Manifest | Index;
  /** The image of the store that it is of. All else is kept by its blobs alone: attestations, images of other systems. */
  image?: Digest;
}

/** What an index or a manifest names, itself included. */
export interface Documents {
  top: Part;
  /** What is here whole, each once and before what names it. */
  parts: Part[];
  /** What is not, or not with all of its blobs in the form that it names. */
  missing: Descriptor[];
}

/** Indexes name indexes, but not without end. */
const DEPTH = 8;

/** Undefined where `source` is not in the store. */
export function readDocuments(store: Store, source: Digest): Documents | undefined {
  const parts = new Map<Digest, Part>();
  const missing = new Map<Digest, Descriptor>();

  function visit(descriptor: Descriptor, depth: number): Part | undefined {
    const { digest } = descriptor;
    const known = parts.get(digest);
    if (known !== undefined) return known;
    if (depth > DEPTH || !store.blobs.has(digest)) {
      missing.set(digest, descriptor);
      return undefined;
    }
    const bytes = store.blobs.read(digest);
    const manifest = parseManifest(bytes);
    const kind = isIndex(manifest) ? mediaTypes.ociIndex : mediaTypes.ociManifest;
    const own = { mediaType: manifest.mediaType ?? (descriptor.mediaType || kind), digest, size: bytes.length };
    const part: Part = { descriptor: own, bytes, manifest };
    if (isIndex(manifest)) {
      for (const each of manifest.manifests) visit(each, depth + 1);
    } else {
      const record = store.images.get(manifest.config.digest);
      if (record !== undefined && imageAsItCame(store, record, digest) !== undefined) part.image = record.id;
      else if (blobsOf(manifest).some((blob) => !store.blobs.has(blob.digest))) {
        missing.set(digest, descriptor);
        return undefined;
      }
    }
    parts.set(digest, part);
    return part;
  }

  const top = visit({ mediaType: "", digest: source, size: 0 }, 0);
  return top === undefined ? undefined : { top, parts: [...parts.values()], missing: [...missing.values()] };
}

/** Config and layers, without those that lie elsewhere by their `urls`. */
export function blobsOf(manifest: Manifest): Descriptor[] {
  const all = [manifest.config, ...manifest.layers].filter((blob) => (blob.urls ?? []).length === 0);
  return [...new Map(all.map((blob) => [blob.digest, blob])).values()];
}

/** The documents as a source of manifests and blobs, like a layout or a repository. A layer may be packed while it is read. */
export function documentsSource(
  store: Store,
  { parts }: Documents,
): {
  manifest(repository: string, reference: string): Promise<{ bytes: Uint8Array; digest: Digest; mediaType: string }>;
  blob(repository: string, blob: Descriptor): Promise<ReadableStream<Uint8Array>>;
} {
  const byDigest = new Map<string, Part>(parts.map((part) => [part.descriptor.digest, part]));
  let layers: Promise<Map<Digest, Layer>> | undefined;

  async function allLayers(): Promise<Map<Digest, Layer>> {
    const found = new Map<Digest, Layer>();
    for (const { image, descriptor } of parts) {
      const record = image === undefined ? undefined : store.images.get(image);
      const whole = record === undefined ? undefined : imageAsItCame(store, record, descriptor.digest);
      for (const layer of (await whole?.layers()) ?? []) found.set(await layer.digest(), layer);
    }
    return found;
  }

  return {
    async manifest(_, reference) {
      const part = byDigest.get(reference);
      if (part === undefined) throw new SlipwayError("MANIFEST_UNKNOWN", `manifest ${reference} is not in the store`);
      const { bytes, descriptor } = part;
      return { bytes, digest: descriptor.digest, mediaType: descriptor.mediaType };
    },
    async blob(_, blob) {
      if (store.blobs.has(blob.digest)) return verified(Bun.file(store.blobs.path(blob.digest)).stream(), blob);
      layers ??= allLayers();
      const layer = (await layers).get(blob.digest);
      if (layer === undefined) throw new SlipwayError("BLOB_UNKNOWN", `blob ${blob.digest} is not in the store`);
      return layer.compressed();
    },
  };
}
