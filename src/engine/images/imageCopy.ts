import type { ArchiveFiles } from "../../archive/archiveFiles.ts";
import { createDirectorySink } from "../../archive/directorySink.ts";
import type { LayoutSink } from "../../archive/layoutSink.ts";
import { openArchive } from "../../archive/openArchive.ts";
import { readOciLayout } from "../../archive/ociLayout.ts";
import { createTarSink } from "../../archive/tarSink.ts";
import { REF_NAME, type WrittenImage, writeLayout } from "../../archive/writeLayout.ts";
import type { Image } from "../../image/Image.ts";
import { counted } from "../../image/counted.ts";
import { mediaTypes } from "../../oci/descriptor.ts";
import type { Digest } from "../../oci/digest.ts";
import { isIndex, parseManifest } from "../../oci/parseManifest.ts";
import { formatFullPlatform, parsePlatform } from "../../oci/platform.ts";
import { matchesPlatform } from "../../oci/platformMatch.ts";
import { normalizeReference, parseReference } from "../../oci/reference.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import type { Lease } from "../../store/Store.ts";
import { documentsSource } from "../../store/documents.ts";
import { copyManifest, type SourcePlace } from "./copyManifest.ts";
import { copyToLayout } from "./copyToLayout.ts";
import type { Engine } from "../Engine.ts";
import { type ImagePlace, tagOf } from "./imagePlace.ts";
import { candidates, takeImage } from "./loadImages.ts";
import { openRegistry, type RegistryAccess } from "./openRegistry.ts";
import { namedImages } from "./namedImages.ts";
import { pushNamed } from "./push.ts";
import { openPush } from "./pushTarget.ts";
import { chosenManifest } from "./resolveRemote.ts";
import { cameAs, imagesOf, resolveImage } from "./resolveImage.ts";
import { sourceImage } from "./sourceImage.ts";
import { tagImage } from "./tagImage.ts";

export interface CopyOptions extends RegistryAccess {
  /** Of an index this platform's image alone. */
  platform?: string;
}

/** An image, or index of images, that lies outside of the store. */
interface Found {
  from: SourcePlace;
  top: { bytes: Uint8Array; digest: Digest; mediaType: string };
  /** The manifest is the source's own. */
  genuine: boolean;
}

/**
 * Copies an image from one place to another, blob by blob, each verified on its way and as it came, so that digests stay. Between places outside of the
 * store nothing goes through it. An index goes whole to registries, layouts and the store; to a docker-archive goes the image of the platform
 * that is asked for, or this machine's. A name of the store goes as a push sends it. Returns the digest of the manifest or index that was written; of an image of the store that is its ID.
 * @throws SlipwayError those of `Registry`, `readOciLayout`, `loadImages`, `IMAGE_NOT_FOUND`, `INVALID_OUTPUT`, `NO_MATCHING_PLATFORM`, `USAGE`
 */
export async function imageCopy(
  engine: Engine,
  source: ImagePlace,
  target: ImagePlace,
  options: CopyOptions = {},
): Promise<Digest> {
  const lease = engine.store.lease("copy");
  let files: ArchiveFiles | undefined;
  try {
    tagOf(target);
    if (target.kind === "store" && normalizeReference(target.name).digest !== undefined)
      throw new SlipwayError("USAGE", `a copy gets a tag, not a digest: ${target.name}`);
    if (source.kind === "store") return await fromStore(engine, source.name, target, { ...options, lease });
    if (source.kind !== "registry")
      files = await openArchive(engine.store.linux, { path: source.path }, () => lease.directory());
    const found = await find(engine, source, files, options);
    return await fromOutside(engine, found, target, { ...options, lease });
  } finally {
    files?.close();
    lease.release();
  }
}

async function find(
  engine: Engine,
  source: Exclude<ImagePlace, { kind: "store" }>,
  files: ArchiveFiles | undefined,
  options: CopyOptions,
): Promise<Found> {
  if (source.kind === "registry") {
    const { domain, path, tag = "latest", digest } = source.reference;
    const registry = openRegistry(engine, domain, options);
    return {
      from: { registry, domain, path },
      top: await registry.manifest(path, digest ?? tag),
      genuine: true,
    };
  }
  const archive = files as ArchiveFiles;
  if (source.kind === "layout") {
    const layout = await readOciLayout(archive);
    return { from: outside(layout), top: await layout.manifest("", source.tag ?? ""), genuine: true };
  }
  const all = await candidates(archive);
  const wanted = source.name === undefined ? all : all.filter(({ names }) => names.includes(source.name as string));
  const digests = new Set(wanted.map(({ top }) => top.digest));
  const [only] = wanted;
  if (only !== undefined && digests.size === 1)
    return { from: outside(only.source), top: only.top, genuine: only.genuine };
  throw new SlipwayError(
    "MANIFEST_UNKNOWN",
    source.name === undefined
      ? `${archive.name} holds ${digests.size} images`
      : `${archive.name} holds no image ${source.name}`,
    { hint: `It has ${all.flatMap(({ names }) => names).join(", ") || "no names"}.` },
  );
}

function outside(registry: SourcePlace["registry"]): SourcePlace {
  return { registry, domain: "", path: "" };
}

/** Docker's archives and the store hold images; registries and layouts what anybody puts there. */
async function fromOutside(
  engine: Engine,
  found: Found,
  target: ImagePlace,
  options: CopyOptions & { lease: Lease },
): Promise<Digest> {
  const { from, genuine } = found;
  const platform =
    options.platform === undefined ? {} : { platform: formatFullPlatform(parsePlatform(options.platform)) };
  const source = {
    manifest: (_: string, reference: string) => from.registry.manifest(from.path, reference),
    blob: (_: string, ...rest: [Parameters<typeof from.registry.blob>[1], { withoutMirrors?: boolean }?]) =>
      from.registry.blob(from.path, ...rest),
  };
  if (target.kind === "store") {
    const names = [parseReference(target.name).canonical];
    return (await takeImage(engine, { names, source, top: found.top, genuine }, options.lease, platform)).id;
  }
  const name = { path: "", canonical: found.top.digest };
  if (target.kind === "docker-archive") {
    const chosen = await chosenManifest(source, name, found.top, platform);
    const image = await sourceImage(source, chosen);
    await checkPlatform(image, options.platform);
    return writeArchive(engine, image, target, options.lease);
  }
  let { top } = found;
  if (options.platform !== undefined) {
    const chosen = await chosenManifest(source, name, top, platform);
    await checkPlatform(await sourceImage(source, chosen), options.platform);
    top = { ...chosen, mediaType: chosen.manifest.mediaType ?? mediaTypes.ociManifest };
  }
  const manifest = parseManifest(top.bytes);
  const mediaType =
    manifest.mediaType ?? (top.mediaType || (isIndex(manifest) ? mediaTypes.ociIndex : mediaTypes.ociManifest));
  const descriptor = { mediaType, digest: top.digest, size: top.bytes.length };
  if (target.kind === "layout") {
    const tag = tagOf(target);
    await copyToLayout(source, layoutSink(engine, target, options.lease), {
      descriptor,
      ...(tag ? { tag } : {}),
      onBlob: ({ digest, size: total }, stream) => {
        const tell = (current: number): void =>
          engine.emit({ type: "copy.blob", digest, status: current === total ? "copied" : "copying", current, total });
        return counted(stream, tell);
      },
    });
  } else {
    const { domain, path, tag = "latest" } = target.reference;
    const registry = openRegistry(engine, domain, options);
    await copyManifest(from, { registry, domain, path }, descriptor, engine.emit);
    await registry.putManifest(path, tag, { bytes: top.bytes, mediaType });
  }
  return top.digest;
}

async function fromStore(
  engine: Engine,
  name: string,
  target: ImagePlace,
  options: CopyOptions & { lease: Lease },
): Promise<Digest> {
  const { store } = engine;
  const { lease, platform } = options;
  const main = resolveImage(engine, name, platform);
  const records = platform === undefined ? imagesOf(engine, name) : [main];
  for (const { id, config } of records) {
    lease.protect("image", id);
    for (const diffID of config.rootfs.diff_ids) lease.protect("layer", diffID);
  }
  const named = cameAs(engine, name);
  if (target.kind === "store") {
    tagImage(engine, platform === undefined ? name : main.id, target.name);
    return main.id;
  }
  if (target.kind === "registry") {
    const { domain, path, tag = "latest" } = target.reference;
    const to = { domain, path, options, target: openPush(engine, target.reference, options) };
    return (await pushNamed(engine, to, { tag, records, named })).digest;
  }
  const { images, whole } = namedImages(store, records, named?.source);
  if (target.kind === "docker-archive") {
    const own = images[records.findIndex(({ id }) => id === main.id)];
    if (own === undefined) throw new Error("a name stands for the image that it gives");
    return writeArchive(engine, own, target, lease);
  }
  const ref = tagOf(target);
  const [written] = await writeLayout(layoutSink(engine, target, lease), [
    {
      images: images.map((image) => ({ image })),
      names: [],
      ...(ref === undefined ? {} : { annotations: { [REF_NAME]: ref } }),
      ...(whole === undefined || platform !== undefined
        ? {}
        : { whole: { source: documentsSource(store, whole), descriptor: whole.top.descriptor } }),
    },
  ]);
  return (written as WrittenImage).descriptor.digest;
}

async function checkPlatform(image: Image, platform: string | undefined): Promise<void> {
  if (platform === undefined) return;
  const { os, architecture, variant } = await image.config();
  const own = { os, architecture, ...(variant === undefined ? {} : { variant }) };
  if (matchesPlatform(parsePlatform(platform), own, "strict")) return;
  throw new SlipwayError("NO_MATCHING_PLATFORM", `the image is for ${os}/${architecture}, not for ${platform}`);
}

async function writeArchive(
  { store }: Engine,
  image: Image,
  { path, name }: { path: string; name?: string },
  lease: Lease,
): Promise<Digest> {
  const sink = createTarSink(store.linux, path, () => lease.directory());
  await writeLayout(sink, [{ images: [{ image }], names: name === undefined ? [] : [name] }], { docker: true });
  return image.digest();
}

function layoutSink(
  { store }: Engine,
  { path, archive }: { path: string; archive: boolean },
  lease: Lease,
): LayoutSink {
  return archive ? createTarSink(store.linux, path, () => lease.directory()) : createDirectorySink(store.linux, path);
}
