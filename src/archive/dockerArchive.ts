import { hashed } from "../image/verified.ts";
import { compressionFormat } from "../layer/compressionFormat.ts";
import { type Descriptor, mediaTypes } from "../oci/descriptor.ts";
import { type Digest, sha256 } from "../oci/digest.ts";
import type { Manifest } from "../oci/manifest.ts";
import { parseConfig } from "../oci/parseConfig.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { type ArchiveFiles, readSmall } from "./archiveFiles.ts";

/** One image of a docker-archive, as `docker save` wrote it before version 25. */
export interface DockerImage {
  /** As `manifest.json` says them; to be parsed. */
  names: string[];
  /** Written here, as such an archive has none: it names the files of the archive by what is in them. */
  manifest: Manifest;
  blob(digest: Digest): ReadableStream<Uint8Array>;
}

const MAX_JSON = 8 * 1024 * 1024;

interface Entry {
  Config: string;
  RepoTags: string[];
  Layers: string[];
}

/**
 * The images that `manifest.json` lists. Layers are read once, for their digests; that they are those of the config is proved when they are unpacked.
 * @throws SlipwayError `INVALID_ARCHIVE`, `INVALID_IMAGE`
 */
export async function readDockerArchive(files: ArchiveFiles): Promise<DockerImage[]> {
  const images: DockerImage[] = [];
  const known = new Map<string, Descriptor>();
  for (const entry of parseEntries(files, await readSmall(files, "manifest.json", MAX_JSON))) {
    const rawConfig = await readSmall(files, entry.Config, MAX_JSON);
    const config = parseConfig(rawConfig, files.name);
    const named = /([0-9a-f]{64})(?:\.json)?$/.exec(entry.Config)?.[1];
    const digest = sha256(rawConfig);
    if (named !== undefined && digest !== `sha256:${named}`)
      throw new SlipwayError("DIGEST_MISMATCH", `${entry.Config} of ${files.name} is ${digest}`);
    if (entry.Layers.length !== config.rootfs.diff_ids.length)
      throw new SlipwayError(
        "INVALID_IMAGE",
        `${files.name} gives ${entry.Layers.length} layers to an image of ${config.rootfs.diff_ids.length}`,
      );
    const paths = new Map<Digest, string>([[digest, entry.Config]]);
    const layers: Descriptor[] = [];
    for (const path of entry.Layers) {
      const layer = known.get(path) ?? (await describe(files, path));
      known.set(path, layer);
      paths.set(layer.digest, path);
      layers.push(layer);
    }
    images.push({
      names: entry.RepoTags,
      manifest: {
        schemaVersion: 2,
        mediaType: mediaTypes.ociManifest,
        config: { mediaType: mediaTypes.ociConfig, digest, size: rawConfig.length },
        layers,
      },
      blob: (wanted) => files.stream(paths.get(wanted) as string),
    });
  }
  return images;
}

function parseEntries(files: ArchiveFiles, bytes: Uint8Array): Entry[] {
  const invalid = (why: string): SlipwayError =>
    new SlipwayError("INVALID_ARCHIVE", `manifest.json of ${files.name} is not valid: ${why}`);
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch {
    throw invalid("it is not JSON");
  }
  if (!Array.isArray(value)) throw invalid("it is no list");
  const texts = (list: unknown): list is string[] =>
    Array.isArray(list) && list.every((each) => typeof each === "string");
  return value.map((each: Partial<Entry> | null): Entry => {
    const { Config, Layers, RepoTags } = each ?? {};
    if (typeof Config !== "string") throw invalid("an image without Config");
    if (Layers != null && !texts(Layers)) throw invalid("Layers is no list of texts");
    if (RepoTags != null && !texts(RepoTags)) throw invalid("RepoTags is no list of texts");
    return { Config, Layers: Layers ?? [], RepoTags: RepoTags ?? [] };
  });
}

async function describe(files: ArchiveFiles, path: string): Promise<Descriptor> {
  if (files.size(path) === undefined) throw new SlipwayError("INVALID_ARCHIVE", `${files.name} holds no ${path}`);
  let found: { digest: Digest; size: number } | undefined;
  let start: Uint8Array | undefined;
  const stream = hashed(files.stream(path), (end) => {
    found = end;
  });
  for await (const chunk of stream) start ??= chunk.slice(0, 8);
  if (found === undefined) throw new Error(`${path} was not read to its end`);
  return { mediaType: typeOf(start ?? new Uint8Array(0)), ...found };
}

function typeOf(start: Uint8Array): string {
  const format = compressionFormat(start);
  return format === "gzip"
    ? mediaTypes.ociLayerGzip
    : format === "zstd"
      ? mediaTypes.ociLayerZstd
      : mediaTypes.ociLayer;
}
