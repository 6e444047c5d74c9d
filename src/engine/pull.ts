import type { Descriptor } from "../oci/descriptor.ts";
import type { ImageConfig } from "../oci/config.ts";
import type { Digest } from "../oci/digest.ts";
import type { Index, Manifest } from "../oci/manifest.ts";
import { parseConfig } from "../oci/parseConfig.ts";
import { isIndex, parseManifest } from "../oci/parseManifest.ts";
import { formatPlatform, hostPlatform, normalizePlatform, parsePlatform } from "../oci/platform.ts";
import { pickPlatform } from "../oci/platformMatch.ts";
import { parseReference, type Reference } from "../oci/reference.ts";
import { isSlipwayError, SlipwayError } from "../oci/SlipwayError.ts";
import { AT_FDCWD } from "../linux/constants.ts";
import { unpackBlob } from "../layer/unpackBlob.ts";
import type { Registry, ResolvedManifest } from "../registry/createRegistry.ts";
import { createSemaphore } from "../solve/semaphore.ts";
import type { Lease } from "../store/Store.ts";
import type { Engine, PullOptions, PullResult } from "./Engine.ts";
import { openRegistry } from "./openRegistry.ts";

/** Downloads at a time: more do not make a line faster, and a registry may mind. */
const DOWNLOADS = 4;
const MAX_CONFIG_BYTES = 8 * 1024 * 1024;

interface LayerWork {
  blob: Descriptor;
  diffID: Digest;
}

/**
 * Brings an image into the store by its registry's name: what the store has is not fetched again, layers come and unpack in parallel, every
 * byte is verified, and nothing is recorded before all of it is there. Blobs are kept as they came.
 * @throws SlipwayError those of `Registry.manifest`, `NO_MATCHING_PLATFORM`, `DIGEST_MISMATCH`, `DIFF_ID_MISMATCH`
 */
export async function pull(engine: Engine, name: string, options: PullOptions = {}): Promise<PullResult> {
  const { store, emit } = engine;
  const reference = parseReference(name);
  const stop = new AbortController();
  const signal = AbortSignal.any([engine.signal, stop.signal]);
  const registry = openRegistry(engine, reference.domain, { ...options, signal });
  emit({ type: "pull.start", reference: reference.canonical });
  const lease = store.lease("pull");
  try {
    const top = await registry.manifest(reference.path, reference.digest ?? reference.tag ?? "latest");
    const { id, digest, fetched } = await fetchImage(engine, registry, reference, { top, lease, stop, ...options });
    const repository = `${reference.domain}/${reference.path}`;
    const earlier =
      reference.digest === undefined
        ? store.images.byTag(reference.canonical)
        : store.images.byRepoDigest(repository, reference.digest);
    store.transaction(() => {
      store.images.put(id, digest);
      if (reference.digest === undefined) store.images.tag(reference.canonical, id, top.digest);
      store.images.addRepoDigest(repository, top.digest, id);
    });
    const updated = fetched || earlier?.id !== id;
    emit({ type: "pull.done", reference: reference.canonical, digest: top.digest, updated });
    return { reference: reference.canonical, digest: top.digest, imageID: id, updated };
  } finally {
    lease.release();
  }
}

/** Where an image comes from: a registry, a layout on the disk. */
export type ImageSource = Pick<Registry, "manifest" | "blob">;

/**
 * Brings the config, the manifest and the layers of an image into the store, under the lease; what names them is the caller's to record.
 * `fetched`: something was not there before.
 */
export async function fetchImage(
  engine: Engine,
  source: ImageSource,
  reference: Pick<Reference, "path" | "canonical">,
  options: PullOptions & {
    top: ResolvedManifest;
    lease: Lease;
    /** Aborted when a layer fails: the source's other transfers end then, too. */
    stop?: AbortController;
  },
): Promise<{ id: Digest; digest: Digest; config: ImageConfig; fetched: boolean }> {
  const { lease, top } = options;
  const { bytes, manifest, digest } = await chosenManifest(source, reference, top, options);
  lease.protect("blob", manifest.config.digest);
  const config = await readConfig(engine, source, reference, manifest.config, lease);
  const layers = manifest.layers.map((blob, i): LayerWork => ({ blob, diffID: config.rootfs.diff_ids[i] as Digest }));
  if (layers.length !== config.rootfs.diff_ids.length) {
    throw new SlipwayError(
      "INVALID_IMAGE",
      `${reference.canonical} has ${layers.length} layers, but its config names ${config.rootfs.diff_ids.length}`,
    );
  }
  const fetched = await fetchLayers(engine, source, reference, {
    layers,
    lease,
    stop: options.stop ?? new AbortController(),
  });
  engine.store.blobs.write(bytes, lease);
  return { id: manifest.config.digest, digest, config, fetched };
}

/** The config of an image of a registry, without its layers. Nothing is recorded. @throws SlipwayError as `pull` does */
export async function fetchConfig(
  engine: Engine,
  name: string,
  options: PullOptions & { lease: Lease },
): Promise<{ id: Digest; config: ImageConfig }> {
  const reference = parseReference(name);
  const registry = openRegistry(engine, reference.domain, options);
  const top = await registry.manifest(reference.path, reference.digest ?? reference.tag ?? "latest");
  const { manifest } = await chosenManifest(registry, reference, top, options);
  options.lease.protect("blob", manifest.config.digest);
  const config = await readConfig(engine, registry, reference, manifest.config, options.lease);
  return { id: manifest.config.digest, config };
}

/** The manifest of the platform that was asked for, or of this machine's. @throws SlipwayError `NO_MATCHING_PLATFORM` */
export async function chosenManifest(
  registry: ImageSource,
  reference: Pick<Reference, "path" | "canonical">,
  top: { bytes: Uint8Array; digest: Digest },
  options: PullOptions,
): Promise<{ bytes: Uint8Array; manifest: Manifest; digest: Digest }> {
  let { bytes, digest } = top;
  let manifest: Manifest | Index = parseManifest(bytes);
  // An index may name indexes (image-spec, image-index.md); one level of them is what anybody makes.
  for (let depth = 0; isIndex(manifest) && depth < 3; depth++) {
    const wanted = options.platform === undefined ? hostPlatform() : normalizePlatform(parsePlatform(options.platform));
    const entries = manifest.manifests.filter((each) => each.platform !== undefined && each.platform.os !== "unknown");
    const found =
      pickPlatform(wanted, entries) ?? (manifest.manifests.length === 1 ? manifest.manifests[0] : undefined);
    if (found === undefined) {
      const there = entries.map((each) => (each.platform === undefined ? "" : formatPlatform(each.platform)));
      throw new SlipwayError(
        "NO_MATCHING_PLATFORM",
        `${reference.canonical} has no image for ${formatPlatform(wanted)}`,
        {
          hint: `It has: ${there.join(", ")}. Ask for one by --platform.`,
        },
      );
    }
    const next = await registry.manifest(reference.path, found.digest);
    if (next.bytes.length !== found.size) {
      throw new SlipwayError(
        "SIZE_MISMATCH",
        `manifest ${found.digest} of ${reference.canonical} has ${next.bytes.length} bytes instead of ${found.size}`,
      );
    }
    bytes = next.bytes;
    digest = next.digest;
    manifest = parseManifest(bytes);
  }
  if (isIndex(manifest))
    throw new SlipwayError("INVALID_MANIFEST", `${reference.canonical} is an index of indexes without end`);
  return { bytes, manifest, digest };
}

async function readConfig(
  engine: Engine,
  registry: ImageSource,
  reference: Pick<Reference, "path" | "canonical">,
  blob: Descriptor,
  lease: Lease,
): Promise<ImageConfig> {
  const { store } = engine;
  if (blob.size > MAX_CONFIG_BYTES)
    throw new SlipwayError("INVALID_IMAGE", `the config of ${reference.canonical} is ${blob.size} bytes`);
  if (!store.blobs.has(blob.digest)) {
    await fetchBlob(engine, registry, reference, blob, { lease });
  }
  return parseConfig(store.blobs.read(blob.digest), reference.canonical);
}

/** What is damaged on the way is fetched again, at last from the registry itself without its mirrors. */
const DAMAGED_TRIES = 3;

/** Brings a verified blob into the store. @throws SlipwayError `FOREIGN_LAYER`, those of `Registry.blob` and `Blobs.ingest` */
async function fetchBlob(
  engine: Engine,
  source: ImageSource,
  reference: Pick<Reference, "path" | "canonical">,
  blob: Descriptor,
  options: { lease: Lease; onProgress?: (bytes: number) => void },
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      const stream = await openBlob(engine, source, reference, blob, attempt === DAMAGED_TRIES);
      await engine.store.blobs.ingest(stream, blob, options);
      return;
    } catch (error) {
      engine.signal.throwIfAborted();
      if (!isSlipwayError(error, "DIGEST_MISMATCH", "SIZE_MISMATCH") || attempt >= DAMAGED_TRIES) throw error;
      engine.emit({ type: "debug", message: `${error.message}; once more` });
    }
  }
}

/** From the registry; what it does not have, from where its manifest says that it lies, if that is allowed. */
async function openBlob(
  engine: Engine,
  source: ImageSource,
  reference: Pick<Reference, "path" | "canonical">,
  blob: Descriptor,
  withoutMirrors: boolean,
): Promise<ReadableStream<Uint8Array>> {
  try {
    return await source.blob(reference.path, blob, { withoutMirrors });
  } catch (error) {
    const urls = blob.urls ?? [];
    if (!isSlipwayError(error, "MANIFEST_UNKNOWN", "BLOB_UNKNOWN") || urls.length === 0) throw error;
    const domain = reference.canonical.split("/", 1)[0] as string;
    if (engine.config.registries[domain]?.foreignLayers !== true) {
      throw new SlipwayError(
        "FOREIGN_LAYER",
        `a layer of ${reference.canonical} is not in its registry but at ${hostsOf(urls)}: it is not fetched from there`,
        { hint: `To allow it, set "foreignLayers": true for ${domain} in the configuration.`, cause: error },
      );
    }
    const { openForeign } = await import("../registry/openForeign.ts");
    return openForeign(urls, blob, engine.signal);
  }
}

function hostsOf(urls: readonly string[]): string {
  return urls.map((url) => (URL.canParse(url) ? new URL(url).host : "a place that is no URL")).join(", ");
}

/** Returns whether anything had to be fetched. */
async function fetchLayers(
  engine: Engine,
  registry: ImageSource,
  reference: Pick<Reference, "path" | "canonical">,
  { layers, lease, stop }: { layers: readonly LayerWork[]; lease: Lease; stop: AbortController },
): Promise<boolean> {
  const slots = createSemaphore(DOWNLOADS);
  const done = new Map<Digest, Promise<void>>();
  let fetched = false;

  async function one(work: LayerWork, below: readonly LayerWork[]): Promise<void> {
    const { store, emit } = engine;
    const { digest } = work.blob;
    lease.protect("layer", work.diffID);
    lease.protect("blob", digest);
    if (store.layers.get(work.diffID) !== undefined) {
      emit({ type: "pull.layer", digest, status: "exists" });
      store.layers.addBlob(work.diffID, work.blob);
      return;
    }
    emit({ type: "pull.layer", digest, status: "waiting" });
    await slots(() =>
      store.locked(`layer:${work.diffID}`, async () => {
        stop.signal.throwIfAborted();
        // Another process may have brought it meanwhile.
        if (store.layers.get(work.diffID) !== undefined) {
          emit({ type: "pull.layer", digest, status: "exists" });
          store.layers.addBlob(work.diffID, work.blob);
          return;
        }
        if (!fetched) store.layers.settle();
        fetched = true;
        if (!store.blobs.has(digest)) {
          const onProgress = (current: number): void =>
            emit({ type: "pull.layer", digest, status: "downloading", current, total: work.blob.size });
          onProgress(0);
          await fetchBlob(engine, registry, reference, work.blob, { lease, onProgress });
        }
        emit({ type: "pull.layer", digest, status: "extracting" });
        await unpack(engine, work, below, done, lease);
        emit({ type: "pull.layer", digest, status: "done" });
      }),
    );
  }

  const all: Promise<void>[] = [];
  for (const [i, work] of layers.entries()) {
    let promise = done.get(work.diffID);
    if (promise === undefined) {
      promise = one(work, layers.slice(0, i));
      done.set(work.diffID, promise);
    }
    all.push(promise);
  }
  for (const promise of all) promise.catch((error) => stop.abort(error));
  const settled = await Promise.allSettled(all);
  const failed = settled.find((each) => each.status === "rejected");
  if (failed !== undefined) throw stop.signal.aborted ? stop.signal.reason : failed.reason;
  return fetched;
}

async function unpack(
  engine: Engine,
  work: LayerWork,
  below: readonly LayerWork[],
  done: Map<Digest, Promise<void>>,
  lease: Lease,
): Promise<void> {
  const { store } = engine;
  const source = { linux: store.linux, blob: store.blobs.path(work.blob.digest), expectedDiffID: work.diffID };
  let directory = lease.directory();
  let unpacked: Awaited<ReturnType<typeof unpackBlob>>;
  try {
    unpacked = await unpackBlob({ ...source, directory: rootOf(engine, directory) });
  } catch (error) {
    if (!isSlipwayError(error, "NEEDS_LOWER_LAYERS")) throw error;
    // A hard link into a layer below: that one has to be there first.
    for (const each of below) await done.get(each.diffID);
    directory = lease.directory();
    const lowerPaths = below.map((each) => store.layers.require(each.diffID).path);
    unpacked = await unpackBlob({ ...source, directory: rootOf(engine, directory), lowerPaths });
  }
  store.transaction(() => {
    store.layers.adopt(directory, unpacked, lease);
    store.layers.addBlob(work.diffID, work.blob);
  });
}

/** A layer's root has the mode that a root has, until its tar says otherwise. */
function rootOf({ store: { linux } }: Engine, directory: string): string {
  linux.fchmodat(AT_FDCWD, directory, 0o755);
  return directory;
}
