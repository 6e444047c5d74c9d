import type { Image } from "../../image/Image.ts";
import type { Layer } from "../../image/Layer.ts";
import { verified } from "../../image/verified.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import { type Digest, sha256 } from "../../oci/digest.ts";
import type { Manifest } from "../../oci/manifest.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import type { Registry } from "../../registry/createRegistry.ts";
import { createSemaphore, type Semaphore } from "../../solve/semaphore.ts";
import type { Engine } from "../Engine.ts";
import { openRegistry, type RegistryAccess } from "./openRegistry.ts";

/** Docker's number: more uploads at a time do not make a line faster. */
const UPLOADS = 5;
/** Repositories that are asked for a mount of one blob before it is sent. */
const MOUNTS = 3;

/** Brings one blob of an image to the registry. The second call for the same one waits for the first. */
type Upload = {
  layer(layer: Layer, wanted: Descriptor | undefined): Promise<void>;
  /** Of the store, as it lies there. */
  blob(blob: Descriptor): Promise<void>;
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
    blob: (blob) =>
      once(blob.digest, async () => {
        if (await registry.hasBlob(path, blob.digest)) return;
        const open = async () => verified(Bun.file(engine.store.blobs.path(blob.digest)).stream(), blob);
        await registry.upload(path, { ...blob, open });
      }),
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
