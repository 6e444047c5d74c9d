import { createTarSink } from "../../archive/tarSink.ts";
import { type NamedImage, writeLayout } from "../../archive/writeLayout.ts";
import type { Digest } from "../../oci/digest.ts";
import { normalizePlatform, parsePlatform } from "../../oci/platform.ts";
import { matchesPlatform } from "../../oci/platformMatch.ts";
import { familiarName, parseReference, readImageID } from "../../oci/reference.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { documentsSource } from "../../store/documents.ts";
import type { Engine } from "../Engine.ts";
import { namedImages } from "./namedImages.ts";
import { cameAs, canonicalOf, imagesOf, ofPlatform, resolveImage } from "./resolveImage.ts";

export interface SaveOptions {
  /** File; "-" is standard output. */
  output: string;
  /** Of a name of several platforms this one; other images must be of it. */
  platform?: string;
}

/**
 * Writes images into one archive, as `docker save` of version 25 and later does: an OCI layout with a `manifest.json`. Names go along: the one that
 * an image was asked for by, all of a repository's where that was asked for. Pulled images keep every digest.
 * @throws SlipwayError `IMAGE_NOT_FOUND`, `NO_MATCHING_PLATFORM`, `INVALID_OUTPUT`
 */
export async function saveImages(engine: Engine, images: readonly string[], options: SaveOptions): Promise<void> {
  const { store } = engine;
  const lease = store.lease("save");
  try {
    // By the images that a name stands for.
    const chosen = new Map<string, { ids: Digest[]; names: Set<string>; source: Digest | undefined }>();
    for (const image of images)
      for (const { id, name } of select(engine, image)) {
        const asked = name ?? image;
        const ids = platformsOf(engine, { id, name: asked, platform: options.platform });
        const source = cameAs(engine, asked)?.source;
        const key = [...ids, source].join();
        const known = chosen.get(key) ?? { ids, names: new Set(), source };
        if (name !== undefined) known.names.add(name);
        chosen.set(key, known);
      }
    const named: NamedImage[] = [];
    for (const { ids, names, source } of chosen.values()) {
      const records = ids.map((id) => resolveImage(engine, id));
      for (const { id, config } of records) {
        lease.protect("image", id);
        for (const diffID of config.rootfs.diff_ids) lease.protect("layer", diffID);
        checkPlatform(config, { image: familiarName([...names][0] ?? id), platform: options.platform });
      }
      const { images: leaving, whole } = namedImages(store, records, source);
      named.push({
        images: leaving.map((image) => ({ image })),
        names: [...names],
        ...(whole === undefined || options.platform !== undefined
          ? {}
          : { whole: { source: documentsSource(store, whole), descriptor: whole.top.descriptor } }),
      });
    }
    const sink = createTarSink(store.linux, options.output, () => lease.directory());
    await writeLayout(sink, named, { docker: true });
  } finally {
    lease.release();
  }
}

/** All of the name's platforms, or the one that was asked for. */
function platformsOf(
  engine: Engine,
  { id, name, platform }: { id: Digest; name: string; platform: string | undefined },
): Digest[] {
  const all = imagesOf(engine, name);
  if (platform === undefined) return all.map((each) => each.id);
  return [ofPlatform(all, normalizePlatform(parsePlatform(platform)))?.id ?? id];
}

/** What one argument stands for. A name without a tag is all of its repository, as Docker has it; an ID brings no name. */
function select(engine: Engine, image: string): { id: Digest; name?: string }[] {
  const whole = repositoryOf(image);
  if (whole !== undefined) {
    const tags = engine.store.images.tags().filter(({ reference }) => {
      const { domain, path } = parseReference(reference);
      return `${domain}/${path}` === whole;
    });
    if (tags.length > 0) return tags.map(({ id, reference }) => ({ id, name: reference }));
  }
  const { id } = resolveImage(engine, image);
  if (readImageID(image) !== undefined) return [{ id }];
  const tag = canonicalOf(image);
  return tag !== undefined && engine.store.images.byTag(tag)?.id === id ? [{ id, name: tag }] : [{ id }];
}

/** Undefined where a tag or a digest was said, or the text is no name. */
function repositoryOf(image: string): string | undefined {
  if (/[:@][^/]*$/.test(image) || readImageID(image) !== undefined) return undefined;
  const canonical = canonicalOf(image);
  return canonical?.replace(/:[^:/]*$/, "");
}

function checkPlatform(
  config: { os: string; architecture: string; variant?: string },
  { image, platform }: { image: string; platform: string | undefined },
): void {
  if (platform === undefined || matchesPlatform(parsePlatform(platform), config, "strict")) return;
  throw new SlipwayError(
    "NO_MATCHING_PLATFORM",
    `image with reference ${image} was found but does not provide the specified platform (${platform})`,
  );
}
