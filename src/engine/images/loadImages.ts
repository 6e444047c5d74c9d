import type { ArchiveFiles } from "../../archive/archiveFiles.ts";
import { openArchive } from "../../archive/openArchive.ts";
import { formatFullPlatform, hostPlatform, type Platform, parsePlatform } from "../../oci/platform.ts";
import { matchesPlatform, pickPlatform } from "../../oci/platformMatch.ts";
import type { Digest } from "../../oci/digest.ts";
import { sha256 } from "../../oci/digest.ts";
import type { Manifest } from "../../oci/manifest.ts";
import { isIndex, parseManifest } from "../../oci/parseManifest.ts";
import { parseReference } from "../../oci/reference.ts";
import { isSlipwayError, SlipwayError } from "../../oci/SlipwayError.ts";
import type { Lease } from "../../store/Store.ts";
import { reproducible } from "../../store/storeImage.ts";
import type { Engine } from "../Engine.ts";
import type { ImageSource } from "./fetchBlob.ts";
import { fetchImage } from "./pull.ts";
import { platformOf } from "./resolveImage.ts";

export interface LoadOptions {
  /** Archive or directory; standard input where absent. */
  input?: string;
  stdin: () => ReadableStream<Uint8Array>;
  /** Of an index of several platforms this one, not all that are there; other images must be of it. */
  platform?: string;
}

export interface LoadedImage {
  id: Digest;
  /** Canonical. */
  names: string[];
  /** What had the names before and has none now. */
  renamed: { name: string; id: Digest }[];
}

/** One image of an archive, or of another source, before it is read. */
export interface Candidate {
  names: string[];
  source: ImageSource;
  top: Awaited<ReturnType<ImageSource["manifest"]>>;
  /** The manifest is the archive's own, and is kept. */
  genuine: boolean;
}

const IMAGE_NAME = "io.containerd.image.name";
const REF_NAME = "org.opencontainers.image.ref.name";

/**
 * Brings the images of an archive into the store: OCI layouts, and what `docker save` of any version since 1.10 writes; compressed or not. Every
 * digest and size is verified, every name parsed, before an image gets its record.
 * @throws SlipwayError `INVALID_ARCHIVE` and those of `fetchImage`
 */
export async function loadImages(engine: Engine, options: LoadOptions): Promise<LoadedImage[]> {
  const { store } = engine;
  const lease = store.lease("load");
  let files: ArchiveFiles | undefined;
  try {
    files = await openArchive(
      store.linux,
      options.input === undefined ? { stream: options.stdin() } : { path: options.input },
      () => lease.directory(),
    );
    const loaded: LoadedImage[] = [];
    for (const candidate of merged(await candidates(files)))
      loaded.push(await takeImage(engine, candidate, lease, options));
    return loaded;
  } finally {
    files?.close();
    lease.release();
  }
}

/** What the archive lists, an image once for each of its names. @throws SlipwayError `INVALID_ARCHIVE` */
export async function candidates(files: ArchiveFiles): Promise<Candidate[]> {
  if (files.size("oci-layout") !== undefined && files.size("index.json") !== undefined) return layoutImages(files);
  if (files.size("manifest.json") !== undefined) return dockerImages(files);
  throw new SlipwayError(
    "INVALID_ARCHIVE",
    `${files.name} holds no images: there is neither an index.json with oci-layout nor a manifest.json`,
    files.size("repositories") === undefined ? {} : { hint: "It was written by a Docker older than 1.10." },
  );
}

async function layoutImages(files: ArchiveFiles): Promise<Candidate[]> {
  const { readOciLayout } = await import("../../archive/ociLayout.ts");
  const source = await readOciLayout(files);
  const found: Candidate[] = [];
  for (const { digest, annotations } of source.index.manifests) {
    // A layout may hold other things beside images: signatures, attestations.
    if (annotations?.["vnd.docker.reference.type"] !== undefined) continue;
    const name = annotations?.[IMAGE_NAME] ?? fullName(annotations?.[REF_NAME]);
    found.push({
      names: name === undefined ? [] : [parseReference(name).canonical],
      source,
      top: await source.manifest("", digest),
      genuine: true,
    });
  }
  return found;
}

/** The reference within a layout is a tag as a rule; some write the whole name there. */
function fullName(reference: string | undefined): string | undefined {
  if (reference === undefined || !/[/:]/.test(reference)) return undefined;
  try {
    parseReference(reference);
    return reference;
  } catch (error) {
    if (isSlipwayError(error, "INVALID_REFERENCE")) return undefined;
    throw error;
  }
}

async function dockerImages(files: ArchiveFiles): Promise<Candidate[]> {
  const { readDockerArchive } = await import("../../archive/dockerArchive.ts");
  return (await readDockerArchive(files)).map(({ names, manifest, blob }) => {
    const bytes = Buffer.from(JSON.stringify(manifest));
    const top = { bytes, digest: sha256(bytes), mediaType: manifest.mediaType as string };
    return {
      names: names.map((name) => parseReference(name).canonical),
      source: { manifest: async () => top, blob: async (_, { digest }) => blob(digest) },
      top,
      genuine: false,
    };
  });
}

/** An archive lists an image once for each of its names. */
function merged(all: readonly Candidate[]): Candidate[] {
  const byDigest = new Map<Digest, Candidate>();
  for (const each of all) {
    const known = byDigest.get(each.top.digest);
    if (known === undefined) byDigest.set(each.top.digest, { ...each, names: [...each.names] });
    else known.names.push(...each.names);
  }
  return [...byDigest.values()];
}

/** Brings it into the store, under the lease, and records it by its names. */
export async function takeImage(
  engine: Engine,
  { names, source, top, genuine }: Candidate,
  lease: Lease,
  { platform }: Pick<LoadOptions, "platform">,
): Promise<LoadedImage> {
  const { store } = engine;
  const label = names[0] ?? top.digest;
  const wanted = platform === undefined ? undefined : parsePlatform(platform);
  const fetched: { id: Digest; digest: Digest; platform: Platform }[] = [];
  for (const each of wanted === undefined ? await platformsIn(source, top) : [wanted]) {
    const { id, digest, config } = await fetchImage(
      engine,
      source,
      { path: "", canonical: label },
      { top, lease, ...(each === undefined ? {} : { platform: formatFullPlatform(each) }) },
    );
    if (genuine)
      await keepBlobs(engine, source, { manifest: store.blobs.read(digest), diffIDs: config.rootfs.diff_ids, lease });
    if (wanted !== undefined && !matchesPlatform(wanted, platformOf(config), "strict"))
      throw new SlipwayError("NO_MATCHING_PLATFORM", `${label} has no image for ${platform}`);
    fetched.push({ id, digest, platform: platformOf(config) });
  }
  const main = pickPlatform(hostPlatform(), fetched) ?? fetched[0];
  if (main === undefined) throw new Error("an image was asked for");
  const { id } = main;
  const images = [...new Set(fetched.map((each) => each.id))];
  const renamed: LoadedImage["renamed"] = [];
  store.transaction(() => {
    for (const each of fetched) store.images.put(each.id, genuine ? each.digest : undefined);
    for (const name of names) {
      const earlier = store.images.byTag(name);
      if (earlier !== undefined && earlier.id !== id) renamed.push({ name, id: earlier.id });
      store.images.tag(name, id, undefined, { images });
    }
  });
  return { id, names, renamed };
}

/** Those of an index whose images the archive holds; `undefined`: there is nothing to choose from. */
async function platformsIn(source: ImageSource, { bytes }: Candidate["top"]): Promise<(Platform | undefined)[]> {
  const manifest = parseManifest(bytes);
  if (!isIndex(manifest)) return [undefined];
  const found: Platform[] = [];
  for (const { digest, platform } of manifest.manifests) {
    if (platform === undefined || platform.os === "unknown") continue;
    try {
      await source.manifest("", digest);
      found.push(platform);
    } catch (error) {
      if (!isSlipwayError(error, "BLOB_UNKNOWN")) throw error; // Docker saves the index whole, and what it has of it
    }
  }
  return found.length === 0 ? [undefined] : found;
}

/** A layer that was here before was not read: its blob is kept as well, so that the image leaves by the digest that it came by. */
async function keepBlobs(
  { store }: Engine,
  source: ImageSource,
  { manifest, diffIDs, lease }: { manifest: Uint8Array; diffIDs: Digest[]; lease: Lease },
): Promise<void> {
  const { layers } = parseManifest(manifest) as Manifest;
  for (const [i, blob] of layers.entries()) {
    const diffID = diffIDs[i] as Digest;
    if (store.blobs.has(blob.digest) || reproducible(store, diffID, blob.digest) !== undefined) continue;
    await store.blobs.ingest(await source.blob("", blob), blob, { lease });
    store.layers.addBlob(diffID, blob);
  }
}
