import type { Image } from "../../image/Image.ts";
import type { Layer } from "../../image/Layer.ts";
import { indexEntry, makeIndex } from "../../image/makeIndex.ts";
import type { Compression } from "../../layer/compressLayer.ts";
import { type Descriptor, mediaTypes } from "../../oci/descriptor.ts";
import { type Digest, sha256 } from "../../oci/digest.ts";
import type { Manifest } from "../../oci/manifest.ts";
import { familiarName, normalizeReference } from "../../oci/reference.ts";
import { isSlipwayError, SlipwayError } from "../../oci/SlipwayError.ts";
import type { Registry } from "../../registry/createRegistry.ts";
import { createSemaphore, type Semaphore } from "../../solve/semaphore.ts";
import type { ImageRecord } from "../../store/Store.ts";
import { layersImage, type StoreForm, storeImage } from "../../store/storeImage.ts";
import type { Engine } from "../Engine.ts";
import { openRegistry, type RegistryAccess } from "./openRegistry.ts";
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

/** Docker's number: more uploads at a time do not make a line faster. */
const UPLOADS = 5;
/** Repositories that are asked for a mount of one blob before it is sent. */
const MOUNTS = 3;

/**
 * Brings images of the store to the registry under their names: what the registry has is not sent, what another repository of it has is mounted,
 * the rest goes up in parallel, packed and compressed on the way; then the config, then the manifest. A pulled image keeps every digest, unless
 * `form` asks for another compression. Images of several platforms go with an index.
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
  let to = openPush(engine, { domain, path }, options);
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
      const annotations = store.images.tags(main.id).find((each) => each.reference === reference)?.annotations;
      for (const { id, config } of records) {
        lease.protect("image", id);
        for (const diffID of config.rootfs.diff_ids) lease.protect("layer", diffID);
      }
      const entries: Descriptor[] = [];
      const isIndexed = records.length > 1 || Object.keys(annotations?.index ?? {}).length > 0;
      for (const record of records) {
        const own = annotations?.images[record.id];
        const form = {
          ...(options.form?.compression === undefined ? {} : options.form),
          ...(own?.manifest === undefined ? {} : { annotations: own.manifest }),
        };
        const given = isIndexed ? {} : { reference: tag };
        const image = layersForm(engine, record, form);
        const asItCame = image === undefined ? keptImage(engine, record, storeImage(store, record.id)) : undefined;
        let sent = image ?? asItCame ?? storeImage(store, record.id);
        try {
          await pushImage(sent, { ...to, ...given, ...asItCame });
        } catch (error) {
          if (asItCame === undefined || !isSlipwayError(error, "BLOB_NOT_FOUND")) throw error;
          // One of its blobs is nowhere to be had any more: then the image goes by a manifest of its own.
          to = openPush(engine, { domain, path }, options);
          sent = storeImage(store, record.id);
          await pushImage(sent, { ...to, ...given });
        }
        entries.push(await indexEntry(sent, own?.descriptor));
      }
      const top = isIndexed ? makeIndex(entries, annotations?.index) : { descriptor: entries[0] as Descriptor };
      if ("bytes" in top)
        await to.registry.putManifest(path, tag, { bytes: top.bytes, mediaType: top.descriptor.mediaType });
      const done = { tag, digest: top.descriptor.digest, size: top.descriptor.size };
      store.transaction(() => {
        if (options.platform === undefined && store.images.byTag(reference)?.id === main.id)
          store.images.setRepoDigest(reference, done.digest);
        store.images.addRepoDigest(repository, done.digest, (records.length > 1 ? main : (records[0] ?? main)).id);
      });
      emit({ type: "push.done", ...done });
      pushed.push({ ...done, imageID: main.id });
    }
    return pushed;
  } finally {
    lease.release();
  }
}

/** The image in another form than it came in or is made in; undefined where nothing asks for one. */
function layersForm({ store }: Engine, { id, config }: ImageRecord, form: StoreForm): Image | undefined {
  if (form.compression === undefined && Object.keys(form.annotations ?? {}).length === 0) return undefined;
  return layersImage(store, { config, rawConfig: () => store.blobs.read(id) }, form);
}

/** The image by the manifest that it came with, whether or not the store has the layers in the form that this names. */
function keptImage(
  { store: { blobs } }: Engine,
  { manifest }: ImageRecord,
  image: Image,
): (Image & { kept: Manifest }) | undefined {
  if (manifest === undefined || !blobs.has(manifest)) return undefined;
  const bytes = blobs.read(manifest);
  const kept = JSON.parse(Buffer.from(bytes).toString("utf8")) as Manifest;
  return {
    ...image,
    mediaType: kept.mediaType ?? mediaTypes.ociManifest,
    manifest: async () => kept,
    rawManifest: async () => bytes,
    kept,
  };
}

/** Brings one blob of an image to the registry. The second call for the same one waits for the first. */
type Upload = {
  layer(layer: Layer, wanted: Descriptor | undefined): Promise<void>;
  bytes(bytes: Uint8Array): Promise<void>;
};

/**
 * An image to a repository: its blobs, then its manifest under `reference`, a tag or the manifest's own digest.
 * Returns the descriptor of the manifest.
 */
export async function pushImage(
  image: Image,
  to: {
    upload: Upload;
    registry: Registry;
    path: string;
    /** None: blobs alone, so that the caller can put the manifest. */
    reference?: string;
    /** The manifest, where it is not made of the layers: what it names is sent. */
    kept?: Manifest;
  },
): Promise<Descriptor> {
  const layers = await image.layers();
  const results = await Promise.allSettled(layers.map((layer, i) => to.upload.layer(layer, to.kept?.layers[i])));
  for (const result of results) if (result.status === "rejected") throw result.reason;
  await to.upload.bytes(await image.rawConfig());
  const bytes = await image.rawManifest();
  const { mediaType } = image;
  const digest = sha256(bytes);
  await to.registry.putManifest(to.path, to.reference ?? digest, { bytes, mediaType });
  return { mediaType, digest, size: bytes.length };
}

/** A repository that images are sent to. Blobs that several of them have are sent once. */
export interface PushTarget {
  registry: Registry;
  path: string;
  upload: Upload;
}

export interface PushTargetOptions extends RegistryAccess {
  /** Repositories that layers lie in which are not in the store. */
  origins?: ReadonlyMap<Digest, { domain: string; path: string }>;
}

export function openPush(
  engine: Engine,
  { domain, path }: { domain: string; path: string },
  options: PushTargetOptions = {},
): PushTarget {
  const stop = new AbortController();
  const signal = AbortSignal.any([engine.signal, stop.signal]);
  const registry = openRegistry(engine, domain, { ...options, signal });
  const slots = createSemaphore(UPLOADS);
  return { registry, path, upload: createUploader(engine, { registry, domain, path, slots, stop, ...options }) };
}

function createUploader(
  engine: Engine,
  to: PushTargetOptions & {
    registry: Registry;
    domain: string;
    path: string;
    slots: Semaphore;
    stop: AbortController;
  },
): Upload {
  const { emit } = engine;
  const { registry, domain, path, slots, stop, origins } = to;
  const underway = new Map<string, Promise<void>>();

  /** The first failure ends the others. */
  function once(key: string, work: () => Promise<void>): Promise<void> {
    let promise = underway.get(key);
    if (promise === undefined) {
      promise = slots(async () => {
        if (stop.signal.aborted) throw stop.signal.reason;
        await work();
      });
      promise.catch((error) => stop.abort(error));
      underway.set(key, promise);
    }
    return promise.catch(() => {
      throw stop.signal.reason;
    });
  }

  async function sendLayer(layer: Layer, diffID: Digest, wanted: Descriptor | undefined): Promise<void> {
    const known = wanted ?? layer.known?.();
    const tell = (status: "pushing" | "pushed" | "exists" | "mounted", more = {}): void =>
      emit({ type: "push.layer", diffID, status, ...more });
    if (known !== undefined && (await registry.hasBlob(path, known.digest))) return tell("exists");
    const onProgress = (current: number): void =>
      tell("pushing", { current, ...(known === undefined ? {} : { total: known.size }) });
    const source =
      wanted !== undefined && layer.known?.()?.digest !== wanted.digest
        ? // The manifest names a form of the layer that the store does not hold.
          { ...wanted, open: () => elsewhere(engine, diffID, wanted) }
        : { ...known, open: () => layer.compressed() };
    const sent = await registry.upload(path, source, {
      mountFrom:
        known === undefined ? [] : mountSources(engine, { domain, path, diffID, origin: origins?.get(diffID) }),
      onProgress,
    });
    if (sent.mountedFrom !== undefined) tell("mounted", { from: sent.mountedFrom });
    else tell("pushed", { current: sent.size, total: sent.size });
  }

  return {
    async layer(layer, wanted) {
      // Foreign layers stay where they are: their manifest says where (image-spec, layer.md "Non-Distributable Layers").
      if (wanted !== undefined && (wanted.urls ?? []).length > 0) return;
      const diffID = await layer.diffID();
      emit({ type: "push.layer", diffID, status: underway.size < UPLOADS ? "preparing" : "waiting" });
      return once(wanted?.digest ?? diffID, () => sendLayer(layer, diffID, wanted));
    },
    bytes(bytes) {
      const digest = sha256(bytes);
      return once(digest, async () => {
        if (await registry.hasBlob(path, digest)) return;
        await registry.upload(path, {
          digest,
          size: bytes.length,
          open: async () => new Blob([bytes as Uint8Array<ArrayBuffer>]).stream() as ReadableStream<Uint8Array>,
        });
      });
    },
  };
}

/** Repositories of the same registry that gave or took an image with this layer. */
function mountSources(
  { store }: Engine,
  {
    domain,
    path,
    diffID,
    origin,
  }: { domain: string; path: string; diffID: Digest; origin: { domain: string; path: string } | undefined },
): string[] {
  const found = new Set<string>(origin?.domain === domain ? [origin.path] : []);
  for (const image of store.images.list()) {
    if (!image.config.rootfs.diff_ids.includes(diffID)) continue;
    for (const { repository } of store.images.repoDigests(image.id))
      if (repository.startsWith(`${domain}/`)) found.add(repository.slice(domain.length + 1));
  }
  found.delete(path);
  return [...found].slice(0, MOUNTS);
}

/** The blob from a repository that an image with the layer came from. */
async function elsewhere(engine: Engine, diffID: Digest, blob: Descriptor): Promise<ReadableStream<Uint8Array>> {
  const { store } = engine;
  let failure: unknown;
  for (const image of store.images.list()) {
    if (!image.config.rootfs.diff_ids.includes(diffID)) continue;
    for (const { repository } of store.images.repoDigests(image.id)) {
      const at = repository.indexOf("/");
      try {
        return await openRegistry(engine, repository.slice(0, at)).blob(repository.slice(at + 1), blob);
      } catch (error) {
        engine.signal.throwIfAborted();
        failure = error;
      }
    }
  }
  throw new SlipwayError(
    "BLOB_NOT_FOUND",
    `blob ${blob.digest} is neither in the store nor where its image came from`,
    {
      cause: failure,
    },
  );
}
