import type { ArchiveFiles } from "../../archive/archiveFiles.ts";
import { openArchive } from "../../archive/openArchive.ts";
import { formatFullPlatform, parsePlatform } from "../../oci/platform.ts";
import { matchesPlatform } from "../../oci/platformMatch.ts";
import type { Digest } from "../../oci/digest.ts";
import { sha256 } from "../../oci/digest.ts";
import type { Manifest } from "../../oci/manifest.ts";
import { parseManifest } from "../../oci/parseManifest.ts";
import { parseReference } from "../../oci/reference.ts";
import { isSlipwayError, SlipwayError } from "../../oci/SlipwayError.ts";
import type { Lease } from "../../store/Store.ts";
import type { Engine } from "../Engine.ts";
import type { ImageSource } from "./fetchBlob.ts";
import { fetchImage } from "./pull.ts";
import { fetchIndex, keepBlobs, keepDocuments } from "./pullIndex.ts";
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
  const name = { path: "", canonical: names[0] ?? top.digest };
  const taken = genuine && platform === undefined ? await takeWhole() : await takeOne();
  const { id } = taken;
  const renamed: LoadedImage["renamed"] = [];
  store.transaction(() => {
    taken.record();
    for (const each of names) {
      const earlier = store.images.byTag(each);
      if (earlier !== undefined && earlier.id !== id) renamed.push({ name: each, id: earlier.id });
      store.images.tag(each, id, undefined, taken);
    }
  });
  return { id, names, renamed };

  /** All that the archive holds of it. */
  async function takeWhole(): Promise<Taken> {
    const stop = new AbortController();
    const whole = await fetchIndex(engine, source, name, { top, lease, stop, partial: true });
    return {
      id: whole.main.id,
      images: whole.images.map((each) => each.id),
      source: top.digest,
      record() {
        for (const each of whole.images) store.images.put(each.id, each.digest);
        if (whole.documents.length > 1)
          for (const each of names) keepDocuments(store, each.slice(0, each.lastIndexOf(":")), whole);
      },
    };
  }

  /** The image of the platform, or the only one. */
  async function takeOne(): Promise<Taken> {
    const wanted = platform === undefined ? undefined : parsePlatform(platform);
    const given = wanted === undefined ? {} : { platform: formatFullPlatform(wanted) };
    const { id: only, digest, config } = await fetchImage(engine, source, name, { top, lease, ...given });
    if (wanted !== undefined && !matchesPlatform(wanted, platformOf(config), "strict"))
      throw new SlipwayError("NO_MATCHING_PLATFORM", `${name.canonical} has no image for ${platform}`);
    if (!genuine) return { id: only, images: [only], record: () => store.images.put(only) };
    const manifest = parseManifest(store.blobs.read(digest)) as Manifest;
    await keepBlobs(engine, source, name, { image: { manifest, config }, lease });
    return { id: only, images: [only], source: digest, record: () => store.images.put(only, digest) };
  }
}

/** What came, and what records it. */
interface Taken {
  id: Digest;
  images: Digest[];
  source?: Digest;
  record(): void;
}
