import type { Image } from "../../image/Image.ts";
import { indexEntry, makeIndex } from "../../image/makeIndex.ts";
import type { Compression } from "../../layer/compressLayer.ts";
import { type Descriptor, mediaTypes } from "../../oci/descriptor.ts";
import type { Digest } from "../../oci/digest.ts";
import type { Manifest } from "../../oci/manifest.ts";
import { isIndex } from "../../oci/parseManifest.ts";
import { familiarName, normalizeReference } from "../../oci/reference.ts";
import { isSlipwayError, SlipwayError } from "../../oci/SlipwayError.ts";
import { blobsOf, type Documents, readDocuments } from "../../store/documents.ts";
import type { ImageRecord, Tag } from "../../store/Store.ts";
import { layersImage, type StoreForm, storeImage } from "../../store/storeImage.ts";
import type { Engine } from "../Engine.ts";
import type { Registry } from "../../registry/createRegistry.ts";
import { copyManifest } from "./copyManifest.ts";
import { openRegistry, type RegistryAccess } from "./openRegistry.ts";
import { openPush, type PushTarget, pushImage } from "./pushTarget.ts";
import { resolveImage } from "./resolveImage.ts";

export interface PushOptions extends RegistryAccess {
  /** All tags of the repository that the store has. */
  allTags?: boolean;
  /** Of a name of several platforms this one alone; fails where there is none of it. */
  platform?: string;
  /** Layers in this compression, those of pulled images too where `force`; then such an image goes by a new manifest. */
  form?: { compression: Compression; force: boolean };
}

export interface Pushed {
  tag: string;
  /** Of the manifest. */
  digest: Digest;
  size: number;
  imageID: Digest;
}

/**
 * Brings images of the store to the registry under their names: what the registry has is not sent, what another repository of it has is mounted,
 * the rest goes up in parallel, packed and compressed on the way; then the config, then the manifest. A pulled image keeps every digest, unless
 * `form` asks for another compression. Images of several platforms go with an index: the one they came by, where all of it is here or there.
 * @throws SlipwayError `IMAGE_NOT_FOUND`, `INVALID_REFERENCE`, `NO_MATCHING_PLATFORM`, those of `Registry`
 */
export async function push(engine: Engine, name: string, options: PushOptions = {}): Promise<Pushed[]> {
  const { store, emit } = engine;
  const { domain, path, digest, ...written } = normalizeReference(name);
  if (digest !== undefined) throw new SlipwayError("INVALID_REFERENCE", "cannot push a digest reference");
  if (options.allTags && written.tag !== undefined)
    throw new SlipwayError("USAGE", "tag can't be used with --all-tags/-a");
  const repository = `${domain}/${path}`;
  const tags = options.allTags
    ? store.images
        .tags()
        .flatMap(({ reference }) =>
          reference.startsWith(`${repository}:`) ? [reference.slice(repository.length + 1)] : [],
        )
    : [written.tag ?? "latest"];
  if (tags.length === 0) {
    throw new SlipwayError(
      "IMAGE_NOT_FOUND",
      `An image does not exist locally with the tag: ${familiarName(repository)}`,
    );
  }
  emit({ type: "push.start", repository });

  const lease = store.lease("push");
  const to = { domain, path, options, target: openPush(engine, { domain, path }, options) };
  const pushed: Pushed[] = [];
  try {
    for (const tag of tags) {
      const reference = `${repository}:${tag}`;
      const all = store.images.ofTag(reference);
      const main = store.images.byTag(reference);
      if (main === undefined) {
        throw new SlipwayError(
          "IMAGE_NOT_FOUND",
          `An image does not exist locally with the tag: ${familiarName(reference)}`,
          { hint: "Build it with -t, or name another image so: slipway tag IMAGE NAME." },
        );
      }
      const records =
        options.platform === undefined ? all : [resolveImage(engine, familiarName(reference), options.platform)];
      for (const { id, config } of records) {
        lease.protect("image", id);
        for (const diffID of config.rootfs.diff_ids) lease.protect("layer", diffID);
      }
      const named = store.images.tags(main.id).find((each) => each.reference === reference);
      const { digest: top, size } = await pushNamed(engine, to, { tag, records, named });
      store.transaction(() => {
        if (options.platform === undefined && store.images.byTag(reference)?.id === main.id)
          store.images.setRepoDigest(reference, top);
        const ids = records.length > 1 ? records.map(({ id }) => id) : [];
        store.images.addRepoDigest(repository, top, (records.length > 1 ? main : (records[0] ?? main)).id, ids);
      });
      emit({ type: "push.done", tag, digest: top, size });
      pushed.push({ tag, digest: top, size, imageID: main.id });
    }
    return pushed;
  } finally {
    lease.release();
  }
}

/** A repository, and its opened form, which a transfer that failed has used up. */
export interface Repository {
  domain: string;
  path: string;
  options: PushOptions;
  target: PushTarget;
}

/** What a name stands for, under the tag: as it came, where that is asked for and can be had. */
export async function pushNamed(
  engine: Engine,
  to: Repository,
  {
    tag,
    records,
    named,
  }: { tag: string; records: readonly ImageRecord[]; named: Pick<Tag, "source" | "annotations"> | undefined },
): Promise<Descriptor> {
  const { form, platform } = to.options;
  const { annotations, source } = named ?? {};
  const came = source === undefined ? undefined : readDocuments(engine.store, source);
  const isWholeIndex =
    form === undefined &&
    platform === undefined &&
    annotations === undefined &&
    came !== undefined &&
    isIndex(came.top.manifest);
  if (isWholeIndex && (await canBeWhole(engine, to, came))) return pushDocuments(engine, to.target, came, tag);

  const entries: Descriptor[] = [];
  const isIndexed = records.length > 1 || Object.keys(annotations?.index ?? {}).length > 0;
  for (const record of records) {
    const own = annotations?.images[record.id];
    const sent = await pushRecord(engine, to, {
      record,
      manifest: came?.parts.find(({ image }) => image === record.id)?.descriptor.digest ?? record.manifest,
      form: {
        ...(form?.compression === undefined ? {} : form),
        ...(own?.manifest === undefined ? {} : { annotations: own.manifest }),
      },
      ...(isIndexed ? {} : { tag }),
    });
    entries.push(await indexEntry(sent, own?.descriptor));
  }
  const built = isIndexed ? makeIndex(entries, annotations?.index) : undefined;
  const top = built?.descriptor ?? (entries[0] as Descriptor);
  if (built !== undefined) {
    const { bytes, descriptor } = built;
    await to.target.registry.putManifest(to.path, tag, { bytes, mediaType: descriptor.mediaType });
  }
  if (isWholeIndex)
    engine.emit({
      type: "push.partial",
      source: came.top.descriptor.digest,
      digest: top.digest,
      images: entries.length,
    });
  return top;
}

/**
 * What the store lacks of an index the repository may have: it was pulled from there, say. Attestations, which a pull of one image leaves where they are,
 * are brought from there.
 */
async function canBeWhole(engine: Engine, to: Repository, { top, missing }: Documents): Promise<boolean> {
  const absent: Descriptor[] = [];
  for (const each of missing) if (!(await hasManifest(to.target.registry, to.path, each.digest))) absent.push(each);
  if (absent.length === 0) return true;
  if (!absent.every(isAttestation)) return false;
  for (const repository of originsOf(engine, top.descriptor.digest)) {
    const at = repository.indexOf("/");
    const from = { domain: repository.slice(0, at), path: repository.slice(at + 1) };
    if (from.domain === to.domain && from.path === to.path) continue;
    try {
      const registry = openRegistry(engine, from.domain, to.options);
      for (const each of absent)
        await copyManifest({ ...from, registry }, { ...to, registry: to.target.registry }, each, engine.emit);
      return true;
    } catch (error) {
      // They are about the image and no part of it: without them it goes by itself.
      engine.signal.throwIfAborted();
      engine.emit({ type: "debug", message: `attestations of ${repository}: ${(error as Error).message}` });
    }
  }
  return false;
}

async function hasManifest(registry: Registry, path: string, digest: Digest): Promise<boolean> {
  try {
    await registry.manifest(path, digest);
    return true;
  } catch (error) {
    // Who may only push gets the same answer as who asks for what is not there.
    if (isSlipwayError(error, "MANIFEST_UNKNOWN", "UNAUTHORIZED")) return false;
    throw error;
  }
}

/** As BuildKit marks them. */
function isAttestation({ annotations }: Descriptor): boolean {
  return annotations?.["vnd.docker.reference.type"] === "attestation-manifest";
}

/** Repositories that are known to have it. */
function originsOf({ store: { images } }: Engine, digest: Digest): string[] {
  const all = images.list().flatMap(({ id }) => images.repoDigests(id));
  return [...new Set(all.flatMap((each) => (each.digest === digest ? [each.repository] : [])))];
}

/** An index byte for byte, what the store has of it first. */
async function pushDocuments(
  engine: Engine,
  to: PushTarget,
  { top, parts }: Documents,
  tag: string,
): Promise<Descriptor> {
  const results = await Promise.allSettled(
    parts.map(async ({ manifest, image, bytes, descriptor: { digest, mediaType } }) => {
      if (isIndex(manifest)) return;
      if (image !== undefined) {
        await pushImage(storeImage(engine.store, image, digest), { ...to, kept: manifest });
        return;
      }
      await Promise.all(blobsOf(manifest).map((blob) => to.upload.blob(blob)));
      await to.registry.putManifest(to.path, digest, { bytes, mediaType });
    }),
  );
  for (const result of results) if (result.status === "rejected") throw result.reason;
  for (const part of parts) {
    const { mediaType, digest } = part.descriptor;
    const { bytes } = part;
    if (isIndex(part.manifest))
      await to.registry.putManifest(to.path, part === top ? tag : digest, { bytes, mediaType });
  }
  return top.descriptor;
}

/** One image, by the tag or by its digest; by the manifest that it came with, unless another form is asked for. */
async function pushRecord(
  engine: Engine,
  to: Repository,
  work: { record: ImageRecord; manifest: Digest | undefined; form: StoreForm; tag?: string },
): Promise<Image> {
  const { store } = engine;
  const { record, manifest, form, tag } = work;
  const given = tag === undefined ? {} : { reference: tag };
  const { id, config } = record;
  if (form.compression !== undefined || Object.keys(form.annotations ?? {}).length > 0) {
    const image = layersImage(store, { config, rawConfig: () => store.blobs.read(id) }, form);
    await pushImage(image, { ...to.target, ...given });
    return image;
  }
  const kept = manifest === undefined ? undefined : keptImage(engine, record, manifest);
  if (kept !== undefined)
    try {
      await pushImage(kept, { ...to.target, ...given, kept: kept.kept });
      return kept;
    } catch (error) {
      if (!isSlipwayError(error, "BLOB_NOT_FOUND")) throw error;
      // One of its blobs is nowhere to be had any more: then the image goes by a manifest of its own.
      to.target = openPush(engine, to, to.options);
    }
  const image = storeImage(store, id);
  await pushImage(image, { ...to.target, ...given });
  return image;
}

/** The image by a manifest that it came with, whether or not the store has the layers in the form that this names. */
function keptImage({ store }: Engine, { id }: ImageRecord, manifest: Digest): (Image & { kept: Manifest }) | undefined {
  if (!store.blobs.has(manifest)) return undefined;
  const bytes = store.blobs.read(manifest);
  const kept = JSON.parse(Buffer.from(bytes).toString("utf8")) as Manifest;
  return {
    ...storeImage(store, id, manifest),
    mediaType: kept.mediaType ?? mediaTypes.ociManifest,
    digest: async () => manifest,
    manifest: async () => kept,
    rawManifest: async () => bytes,
    kept,
  };
}
