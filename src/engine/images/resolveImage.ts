import type { ImageConfig } from "../../oci/config.ts";
import type { Digest } from "../../oci/digest.ts";
import { formatFullPlatform, normalizePlatform, type Platform, parsePlatform } from "../../oci/platform.ts";
import { pickPlatform } from "../../oci/platformMatch.ts";
import { parseReference, readImageID } from "../../oci/reference.ts";
import { isSlipwayError, SlipwayError } from "../../oci/SlipwayError.ts";
import type { ImageRecord, Tag } from "../../store/Store.ts";
import type { Engine } from "../Engine.ts";

/**
 * The image that the store holds under `nameOrId`, in Docker's order: a whole ID, then a name (with its tag, `latest` where it has none,
 * or with the digest under which a registry gave it), then the beginning of an ID. Undefined where there is none.
 * @throws SlipwayError `AMBIGUOUS_ID`
 */
export function findImage({ store: { images } }: Pick<Engine, "store">, nameOrId: string): ImageRecord | undefined {
  const id = readImageID(nameOrId);
  if (id !== undefined) return images.find(id);
  return findByName(images, nameOrId) ?? images.find(nameOrId);
}

/**
 * With a platform the one of the name's images that is of it.
 * @throws SlipwayError `IMAGE_NOT_FOUND`, `AMBIGUOUS_ID`, `NO_MATCHING_PLATFORM`
 */
export function resolveImage(engine: Pick<Engine, "store">, nameOrId: string, platform?: string): ImageRecord {
  const found = findImage(engine, nameOrId);
  if (found === undefined) throw new SlipwayError("IMAGE_NOT_FOUND", `No such image: ${nameOrId}`);
  if (platform === undefined) return found;
  const wanted = normalizePlatform(parsePlatform(platform));
  const all = imagesOf(engine, nameOrId);
  const fitting = ofPlatform(all, wanted);
  if (fitting !== undefined) return fitting;
  throw new SlipwayError(
    "NO_MATCHING_PLATFORM",
    `image with reference ${nameOrId} was found but does not provide the specified platform (${formatFullPlatform(wanted)})`,
    { hint: `It is for ${all.map(({ config }) => formatFullPlatform(platformOf(config))).join(", ")}.` },
  );
}

/** All that a name stands for, in the order of its index; one image where it has one platform, or is an ID. */
export function imagesOf(engine: Pick<Engine, "store">, nameOrId: string): ImageRecord[] {
  const named = tagNamed(engine, nameOrId);
  if (named !== undefined) return engine.store.images.ofTag(named.reference);
  const found = findImage(engine, nameOrId);
  const pinned = /^(.*?)(?::[^:/@]*)?(@.*)$/.exec(canonicalOf(nameOrId) ?? "");
  const several = pinned === null ? [] : engine.store.images.ofTag(`${pinned[1]}${pinned[2]}`);
  return several.length > 0 ? several : found === undefined ? [] : [found];
}

/** The tag, where an image was asked for by one. */
export function tagNamed(engine: Pick<Engine, "store">, nameOrId: string): Tag | undefined {
  const found = findImage(engine, nameOrId);
  if (found === undefined) return undefined;
  const canonical = canonicalOf(nameOrId);
  return engine.store.images.tags(found.id).find(({ reference, id }) => reference === canonical && id === found.id);
}

/** What a name keeps of how it came and how it is to leave: a tag's, or a digest's under which a registry gave it. Undefined for an ID. */
export function cameAs(
  engine: Pick<Engine, "store">,
  nameOrId: string,
): Pick<Tag, "source" | "annotations"> | undefined {
  const named = tagNamed(engine, nameOrId);
  if (named !== undefined) return named;
  if (readImageID(nameOrId) !== undefined || findImage(engine, nameOrId) === undefined) return undefined;
  const digest = /@(sha256:.*)$/.exec(canonicalOf(nameOrId) ?? "")?.[1] as Digest | undefined;
  return digest === undefined || !engine.store.blobs.has(digest) ? undefined : { source: digest };
}

/** The one that fits the platform best. */
export function ofPlatform(all: readonly ImageRecord[], wanted: Platform): ImageRecord | undefined {
  return pickPlatform(
    wanted,
    all.map((record) => ({ record, platform: platformOf(record.config) })),
  )?.record;
}

export function platformOf({ os, architecture, variant }: ImageConfig): Platform {
  return { os, architecture, ...(variant === undefined ? {} : { variant }) };
}

/** The whole name; undefined where the text is none. */
export function canonicalOf(name: string): string | undefined {
  try {
    return parseReference(name).canonical;
  } catch (error) {
    if (isSlipwayError(error, "INVALID_REFERENCE")) return undefined;
    throw error;
  }
}

function findByName(images: Engine["store"]["images"], name: string): ImageRecord | undefined {
  const canonical = canonicalOf(name);
  // `sha256:ab` is no name, but may be the beginning of an ID.
  if (canonical === undefined) return undefined;
  const at = canonical.indexOf("@");
  if (at === -1) return images.byTag(canonical);
  const repository = canonical.slice(0, at).replace(/:[^:/]*$/, "");
  return images.byRepoDigest(repository, canonical.slice(at + 1) as `sha256:${string}`);
}
