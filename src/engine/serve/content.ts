import { type Descriptor, mediaTypes } from "../../oci/descriptor.ts";
import type { Digest } from "../../oci/digest.ts";
import type { Layer } from "../../image/Layer.ts";
import { isIndex, parseManifest } from "../../oci/parseManifest.ts";
import { entryOf, makeIndex } from "../../image/makeIndex.ts";
import { type Documents, type Part, readDocuments } from "../../store/documents.ts";
import type { ImageRecord, Store, Tag } from "../../store/Store.ts";
import { storeImage, storeLayer } from "../../store/storeImage.ts";

export interface FoundManifest {
  bytes: Uint8Array;
  digest: Digest;
  mediaType: string;
}

/** A blob as it lies in the store, or a layer that is packed and compressed to it when it is read. */
export type FoundBlob = { size: number } & ({ file: string } | { layer: Layer });

/** What the store has to give by the names of the protocol. Repositories are canonical names without a tag. */
export interface Content {
  /** By tag or digest. A built image's layers are packed once for their digests, which the store then remembers. */
  manifest(repository: string, reference: { tag: string } | { digest: Digest }): Promise<FoundManifest | undefined>;
  blob(digest: Digest): FoundBlob | undefined;
  /** Sorted; undefined where nothing has that name. */
  tags(repository: string): string[] | undefined;
  repositories(): string[];
  referrers(repository: string, subject: Digest, artifactType?: string): Descriptor[];
}

type NamedTag = Tag & { tag: string };

export function createContent(store: Store): Content {
  const { images, manifests, blobs } = store;
  /** Of built images: two clients that ask at once wait for one packing. */
  const making = new Map<Digest, Promise<FoundManifest>>();
  const layers = new Map<Digest, Digest>();

  /** The image's own manifest: as it came, or written now. */
  function manifestOf(record: ImageRecord): Promise<FoundManifest> {
    if (record.manifest !== undefined && blobs.has(record.manifest)) return made(record);
    let promise = making.get(record.id);
    if (promise === undefined) {
      promise = made(record).finally(() => making.delete(record.id));
      making.set(record.id, promise);
    }
    return promise;
  }

  async function made(record: ImageRecord): Promise<FoundManifest> {
    const lease = store.lease("serve");
    try {
      lease.protect("image", record.id);
      for (const diffID of record.config.rootfs.diff_ids) lease.protect("layer", diffID);
      const image = storeImage(store, record.id);
      return { bytes: await image.rawManifest(), digest: await image.digest(), mediaType: image.mediaType };
    } finally {
      lease.release();
    }
  }

  function kept(repository: string, digest: Digest): FoundManifest | undefined {
    const found = manifests.get(repository, digest);
    return found === undefined || !blobs.has(digest)
      ? undefined
      : { bytes: blobs.read(digest), digest, mediaType: found.mediaType };
  }

  function tagsOf(repository: string): NamedTag[] {
    const prefix = `${repository}:`;
    return images
      .tags()
      .filter(({ reference }) => reference.startsWith(prefix))
      .map((each) => ({ ...each, tag: each.reference.slice(prefix.length) }));
  }

  async function byTag(repository: string, tag: string): Promise<FoundManifest | undefined> {
    const named = tagsOf(repository).find((each) => each.tag === tag);
    if (named === undefined) {
      const other = manifests.tags().find((each) => each.repository === repository && each.tag === tag);
      return other === undefined ? undefined : kept(repository, other.digest);
    }
    const tree = documentsOf(named);
    if (tree !== undefined && tree.missing.length === 0) return ofPart(tree.top);
    return standing(named);
  }

  /** What the name came as, and what that names. */
  function documentsOf({ source }: NamedTag): Documents | undefined {
    return source === undefined ? undefined : readDocuments(store, source);
  }

  function ofPart({ bytes, descriptor }: Part): FoundManifest {
    return { bytes, digest: descriptor.digest, mediaType: descriptor.mediaType };
  }

  /** The name's image, or an index of its images, as a push writes it. */
  async function standing({ reference, id, annotations }: NamedTag): Promise<FoundManifest | undefined> {
    const records = images.ofTag(reference);
    const record = images.get(id);
    if (record === undefined) return undefined;
    if (records.length < 2 && Object.keys(annotations?.index ?? {}).length === 0) return manifestOf(record);
    const entries: Descriptor[] = [];
    for (const each of records) {
      const { bytes, digest, mediaType } = await manifestOf(each);
      const own = annotations?.images[each.id]?.descriptor ?? {};
      entries.push(entryOf({ mediaType, digest, size: bytes.length }, each.config, own));
    }
    const { bytes, descriptor } = makeIndex(entries, annotations?.index);
    return { bytes, digest: descriptor.digest, mediaType: descriptor.mediaType };
  }

  async function byDigest(repository: string, digest: Digest): Promise<FoundManifest | undefined> {
    const found = kept(repository, digest);
    if (found !== undefined) return found;
    const named = images.byRepoDigest(repository, digest);
    // The index that an image was pulled by, though the store may not have all of it.
    if (named !== undefined && blobs.has(digest)) return bare(digest);
    const tags = tagsOf(repository);
    for (const tag of tags) {
      const part = documentsOf(tag)?.parts.find(({ descriptor }) => descriptor.digest === digest);
      if (part !== undefined) return ofPart(part);
    }
    const ids = new Set([
      ...(named === undefined ? [] : [named.id]),
      ...tags.flatMap(({ reference }) => images.ofTag(reference).map(({ id }) => id)),
    ]);
    for (const id of ids) {
      const record = images.get(id);
      if (record === undefined) continue;
      if (record.manifest === digest && blobs.has(digest)) return made(record);
      // Who knows the digest of a written manifest was told it, so that all of its layers are known.
      if (record.manifest !== undefined || !record.config.rootfs.diff_ids.every(isKnown)) continue;
      const own = await manifestOf(record);
      if (own.digest === digest) return own;
    }
    for (const tag of tags) {
      const several = images.ofTag(tag.reference);
      if (several.length < 2 || !several.every((record) => record.config.rootfs.diff_ids.every(isKnown))) continue;
      const made = await standing(tag);
      if (made?.digest === digest) return made;
    }
    return undefined;
  }

  function bare(digest: Digest): FoundManifest {
    const bytes = blobs.read(digest);
    const manifest = parseManifest(bytes);
    const type = manifest.mediaType ?? (isIndex(manifest) ? mediaTypes.ociIndex : mediaTypes.ociManifest);
    return { bytes, digest, mediaType: type };
  }

  function isKnown(diffID: Digest): boolean {
    return store.layers.get(diffID) !== undefined && storeLayer(store, diffID).known?.() !== undefined;
  }

  /** The layer that is compressed to that digest. */
  function layerOf(digest: Digest): Layer | undefined {
    const told = layers.get(digest);
    const all = told === undefined ? store.layers.list().map(({ diffID }) => diffID) : [told];
    for (const diffID of all) {
      if (store.layers.get(diffID) === undefined) continue;
      const layer = storeLayer(store, diffID);
      if (layer.known?.()?.digest !== digest) continue;
      layers.set(digest, diffID);
      return layer;
    }
    layers.delete(digest);
    return undefined;
  }

  return {
    manifest: (repository, reference) =>
      "tag" in reference ? byTag(repository, reference.tag) : byDigest(repository, reference.digest),
    blob(digest) {
      const size = blobs.size(digest);
      if (size !== undefined) return { size, file: blobs.path(digest) };
      const layer = layerOf(digest);
      const known = layer?.known?.();
      return layer === undefined || known === undefined ? undefined : { size: known.size, layer };
    },
    tags(repository) {
      const others = manifests.tags().filter((each) => each.repository === repository);
      const all = new Set([...tagsOf(repository), ...others].map(({ tag }) => tag));
      if (all.size > 0) return [...all].sort();
      return manifests.list().some((each) => each.repository === repository) ? [] : undefined;
    },
    repositories: () => [
      ...new Set([
        ...images.tags().map(({ reference }) => reference.slice(0, reference.lastIndexOf(":"))),
        ...manifests.list().map(({ repository }) => repository),
      ]),
    ],
    referrers: (repository, subject, artifactType) =>
      manifests
        .referrers(repository, subject)
        .filter((each) => artifactType === undefined || each.artifactType === artifactType)
        .map(({ mediaType, digest, size, artifactType: type, annotations }) => ({
          mediaType: mediaType === "" ? mediaTypes.ociManifest : mediaType,
          digest,
          size,
          ...(type === undefined ? {} : { artifactType: type }),
          ...(annotations === undefined ? {} : { annotations }),
        })),
  };
}
