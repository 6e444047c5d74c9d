import { type Descriptor, mediaTypes } from "../oci/descriptor.ts";
import { sha256 } from "../oci/digest.ts";
import type { ImageConfig } from "../oci/config.ts";
import type { Index } from "../oci/manifest.ts";
import type { Image } from "./Image.ts";

/** An index, as its digest names it. */
export interface Built {
  bytes: Uint8Array;
  descriptor: Descriptor;
}

/** An index of the entries, each once. Docker's own list where all of them are of Docker's types and nothing asks for more. */
export function makeIndex(entries: readonly Descriptor[], annotations: Record<string, string> = {}): Built {
  const manifests = new Map<string, Descriptor>();
  for (const entry of entries) manifests.set(entry.digest, { ...manifests.get(entry.digest), ...entry });
  const annotated = Object.keys(annotations).length > 0;
  const isDocker = [...manifests.values()].every(({ mediaType }) => mediaType === mediaTypes.dockerManifest);
  const mediaType = isDocker && !annotated && manifests.size > 0 ? mediaTypes.dockerList : mediaTypes.ociIndex;
  const index: Index = {
    schemaVersion: 2,
    mediaType,
    manifests: [...manifests.values()],
    ...(annotated ? { annotations } : {}),
  };
  const bytes = Buffer.from(JSON.stringify(index, undefined, 2));
  return { bytes, descriptor: { mediaType, digest: sha256(bytes), size: bytes.length } };
}

/** What an index says of an image: its manifest, and the platform of its config. */
export async function indexEntry(image: Image, annotations: Record<string, string> = {}): Promise<Descriptor> {
  const { mediaType } = image;
  const size = (await image.rawManifest()).length;
  return entryOf({ mediaType, digest: await image.digest(), size }, await image.config(), annotations);
}

export function entryOf(
  manifest: Descriptor,
  { os, architecture, variant }: ImageConfig,
  annotations: Record<string, string> = {},
): Descriptor {
  return {
    ...manifest,
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
    platform: { architecture, os, ...(variant === undefined ? {} : { variant }) },
  };
}
