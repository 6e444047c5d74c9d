import type { Image } from "../image/Image.ts";
import type { ImageConfig } from "../oci/config.ts";
import { type Descriptor, mediaTypes } from "../oci/descriptor.ts";
import { type Digest, sha256 } from "../oci/digest.ts";
import type { Index } from "../oci/manifest.ts";
import { isIndex, parseManifest } from "../oci/parseManifest.ts";
import { familiarName, parseReference } from "../oci/reference.ts";
import { blobPath, type LayoutSink } from "./layoutSink.ts";

/** An image and the canonical names that it has in the archive. */
export interface NamedImage {
  image: Image;
  names: string[];
  /** Of the descriptor that names its manifest. */
  annotations?: Record<string, string>;
  /** Puts an index of this one image before it, with these annotations: its own, and those of the descriptor that names it. */
  index?: { annotations: Record<string, string>; descriptorAnnotations: Record<string, string> };
}

export interface WriteLayoutOptions {
  /** Writes `manifest.json` as well, which `docker load` of every version reads (Docker 25 and later write both). */
  docker?: boolean;
  onStatus?: (text: string) => void;
}

/** What an archive names an image by. */
export interface WrittenImage {
  /** Of the manifest, or of the index before it. */
  descriptor: Descriptor;
  manifest: Digest;
  config: Digest;
}

const IMAGE_NAME = "io.containerd.image.name";
/** Annotation: the tag within a layout. */
export const REF_NAME = "org.opencontainers.image.ref.name";
const CREATED = "org.opencontainers.image.created";

interface DockerEntry {
  Config: string;
  RepoTags: string[] | null;
  Layers: string[];
}

/**
 * Writes images as one OCI layout (image-spec, image-layout.md), each blob once. In a directory that holds a layout its index keeps what it
 * names, but for names that are given anew. The sink is finished where all of it is written, and aborted where not.
 */
export async function writeLayout(
  sink: LayoutSink,
  images: readonly NamedImage[],
  { docker = false, onStatus = () => {} }: WriteLayoutOptions = {},
): Promise<WrittenImage[]> {
  const written: WrittenImage[] = [];
  const entries: Descriptor[] = [];
  const dockerEntries: DockerEntry[] = [];
  try {
    sink.file("oci-layout", Buffer.from('{"imageLayoutVersion":"1.0.0"}'));
    for (const named of images) {
      const { image, names } = named;
      const config = await image.config();
      const layers = await image.layers();
      onStatus("exporting layers");
      for (const layer of layers) {
        await sink.blob({
          known: layer.known?.(),
          stream: () => layer.compressed(),
          described: async () => ({ digest: await layer.digest(), size: await layer.size() }),
        });
      }
      const rawConfig = await image.rawConfig();
      const rawManifest = await image.rawManifest();
      await small(sink, rawManifest);
      onStatus(`exporting manifest ${await image.digest()}`);
      await small(sink, rawConfig);
      onStatus(`exporting config ${sha256(rawConfig)}`);
      const descriptor = await topDescriptor(sink, named, { rawManifest, config });
      if (named.index !== undefined) onStatus(`exporting manifest list ${descriptor.digest}`);
      written.push({ descriptor, manifest: await image.digest(), config: sha256(rawConfig) });
      entries.push(...nameEntries(descriptor, names));
      const paths: string[] = [];
      for (const layer of layers) paths.push(blobPath(await layer.digest()));
      dockerEntries.push({
        Config: blobPath(sha256(rawConfig)),
        RepoTags: names.length === 0 ? null : names.map(familiarName),
        Layers: paths,
      });
    }
    sink.file("index.json", Buffer.from(JSON.stringify(withEarlier(sink.earlier("index.json"), entries))));
    if (docker) sink.file("manifest.json", Buffer.from(JSON.stringify(dockerEntries)));
    sink.finish();
  } finally {
    sink.abort();
  }
  return written;
}

/** Writes a small blob that is at hand. */
export async function small(sink: LayoutSink, bytes: Uint8Array): Promise<void> {
  const described = { digest: sha256(bytes), size: bytes.length };
  await sink.blob({
    known: described,
    stream: async () => new Blob([bytes as Uint8Array<ArrayBuffer>]).stream(),
    described: async () => described,
  });
}

/** The descriptor of the manifest, or of an index before it. */
async function topDescriptor(
  sink: LayoutSink,
  { image, annotations = {}, index }: NamedImage,
  { rawManifest, config }: { rawManifest: Uint8Array; config: ImageConfig },
): Promise<Descriptor> {
  const { os, architecture, variant } = config;
  const manifest: Descriptor = {
    mediaType: image.mediaType,
    digest: await image.digest(),
    size: rawManifest.length,
    ...annotated(annotations),
    platform: { architecture, os, ...(variant === undefined ? {} : { variant }) },
  };
  const created = config.created === undefined ? {} : { [CREATED]: config.created };
  if (index === undefined) return { ...manifest, ...annotated({ ...annotations, ...created }) };
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociIndex,
      manifests: [manifest],
      ...annotated(index.annotations),
    } satisfies Index),
  );
  await small(sink, bytes);
  return {
    mediaType: mediaTypes.ociIndex,
    digest: sha256(bytes),
    size: bytes.length,
    ...annotated({ ...index.descriptorAnnotations, ...created }),
  };
}

function annotated(annotations: Record<string, string>): { annotations?: Record<string, string> } {
  return Object.keys(annotations).length === 0 ? {} : { annotations };
}

/** One entry of index.json a name, as containerd writes them: the whole name, and the tag as the reference within this layout. */
function nameEntries(descriptor: Descriptor, names: readonly string[]): Descriptor[] {
  if (names.length === 0) return [descriptor];
  return names.map((name) => ({
    ...descriptor,
    annotations: { ...descriptor.annotations, [IMAGE_NAME]: name, [REF_NAME]: parseReference(name).tag ?? name },
  }));
}

/** The index of a layout that named `earlier` and names these now. */
export function withEarlier(earlier: Uint8Array | undefined, entries: Descriptor[]): Index {
  const index: Index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: entries };
  if (earlier === undefined) return index;
  const found = parseManifest(earlier);
  if (!isIndex(found)) return index;
  const nameOf = ({ digest, annotations }: Descriptor): string =>
    annotations?.[IMAGE_NAME] ?? annotations?.[REF_NAME] ?? digest;
  // A reader finds an image by its reference alone: of two with the same one the new one stays.
  const taken = new Set(entries.flatMap((entry) => [nameOf(entry), entry.annotations?.[REF_NAME] ?? entry.digest]));
  const kept = found.manifests.filter(
    (entry) => !taken.has(nameOf(entry)) && !taken.has(entry.annotations?.[REF_NAME] ?? entry.digest),
  );
  return { ...found, manifests: [...kept, ...entries] };
}
