import type { Image } from "../image/Image.ts";
import { indexEntry, makeIndex } from "../image/makeIndex.ts";
import { type Descriptor, mediaTypes } from "../oci/descriptor.ts";
import { type Digest, sha256 } from "../oci/digest.ts";
import type { Index } from "../oci/manifest.ts";
import { isIndex, parseManifest } from "../oci/parseManifest.ts";
import { familiarName, parseReference } from "../oci/reference.ts";
import { copyDocuments, type DocumentSource } from "./copyDocuments.ts";
import { blobPath, type LayoutSink } from "./layoutSink.ts";

/** An image and the canonical names that it has in the archive. */
export interface NamedImage {
  /** More than one, for several platforms: an index comes before them. */
  images: {
    image: Image;
    /** Of the descriptor that names its manifest. */
    annotations?: Record<string, string>;
  }[];
  names: string[];
  /** Of the entries that name it in the layout. */
  annotations?: Record<string, string>;
  /** The index that they came by, and where all that it names is: it is written as it is. */
  whole?: { source: DocumentSource; descriptor: Descriptor };
  /** Puts an index before one image, too; with these annotations: its own, and those of the descriptor that names it. */
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
  /** Of the first image. */
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
      const { images: platforms, names, index, whole, annotations: own = {} } = named;
      const manifests: Descriptor[] = [];
      const configs: Digest[] = [];
      onStatus("exporting layers");
      for (const { image, annotations = {} } of platforms) {
        const layers = await image.layers();
        for (const layer of layers) {
          await sink.blob({
            known: layer.known?.(),
            stream: () => layer.compressed(),
            pieces: layer.compressedPieces,
            described: async () => ({ digest: await layer.digest(), size: await layer.size() }),
          });
        }
        const rawConfig = await image.rawConfig();
        await small(sink, await image.rawManifest());
        onStatus(`exporting manifest ${await image.digest()}`);
        await small(sink, rawConfig);
        onStatus(`exporting config ${sha256(rawConfig)}`);
        configs.push(sha256(rawConfig));
        manifests.push(await indexEntry(image, annotations));
        const paths: string[] = [];
        for (const layer of layers) paths.push(blobPath(await layer.digest()));
        dockerEntries.push({
          Config: blobPath(sha256(rawConfig)),
          // One image has a name, for who knows of no others.
          RepoTags: names.length === 0 || configs.length > 1 ? null : names.map(familiarName),
          Layers: paths,
        });
      }
      const [first, ...others] = manifests;
      const [config] = configs;
      if (first === undefined || config === undefined) throw new Error("a name stands for an image");
      const { created } = await (platforms[0] as NamedImage["images"][0]).image.config();
      const dated = created === undefined ? {} : { [CREATED]: created };
      let descriptor: Descriptor = { ...first, ...annotated({ ...first.annotations, ...dated }) };
      if (whole !== undefined) {
        await copyDocuments(whole.source, sink, whole.descriptor.digest);
        const { mediaType, digest, size } = whole.descriptor;
        descriptor = { mediaType, digest, size, ...annotated(dated) };
        onStatus(`exporting manifest list ${digest}`);
      } else if (index !== undefined || others.length > 0) {
        descriptor = await writeIndex(sink, manifests, { dated, ...index });
        onStatus(`exporting manifest list ${descriptor.digest}`);
      }
      descriptor = { ...descriptor, ...annotated({ ...descriptor.annotations, ...own }) };
      written.push({ descriptor, config });
      entries.push(...nameEntries(descriptor, names));
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

async function writeIndex(
  sink: LayoutSink,
  manifests: Descriptor[],
  {
    annotations = {},
    descriptorAnnotations = {},
    dated,
  }: Partial<NonNullable<NamedImage["index"]>> & { dated: Record<string, string> },
): Promise<Descriptor> {
  const { bytes, descriptor } = makeIndex(manifests, annotations);
  await small(sink, bytes);
  return { ...descriptor, ...annotated({ ...descriptorAnnotations, ...dated }) };
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
