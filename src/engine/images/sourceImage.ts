import type { Image } from "../../image/Image.ts";
import type { Layer } from "../../image/Layer.ts";
import { verified } from "../../image/verified.ts";
import { decompressStream } from "../../layer/decompressStream.ts";
import { type Descriptor, mediaTypes } from "../../oci/descriptor.ts";
import type { Digest } from "../../oci/digest.ts";
import type { Manifest } from "../../oci/manifest.ts";
import { parseConfig } from "../../oci/parseConfig.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import type { ImageSource } from "./fetchBlob.ts";

const MAX_CONFIG_BYTES = 8 * 1024 * 1024;

/**
 * The image of that manifest, its config read and its layers where they lie. The source's repository is "".
 * @throws SlipwayError `INVALID_IMAGE`, `DIGEST_MISMATCH`, `SIZE_MISMATCH`, those of the source
 */
export async function sourceImage(
  source: ImageSource,
  { bytes, manifest, digest }: { bytes: Uint8Array; manifest: Manifest; digest: Digest },
): Promise<Image> {
  const invalid = (why: string): SlipwayError => new SlipwayError("INVALID_IMAGE", `the image ${digest} ${why}`);
  if (manifest.config.size > MAX_CONFIG_BYTES) throw invalid(`has a config of ${manifest.config.size} bytes`);
  const open = async (blob: Descriptor): Promise<ReadableStream<Uint8Array>> =>
    verified(await source.blob("", blob), blob);
  const rawConfig = await new Response(await open(manifest.config)).bytes();
  const config = parseConfig(rawConfig, digest);
  const diffIDs = config.rootfs.diff_ids;
  if (diffIDs.length !== manifest.layers.length)
    throw invalid(`has ${manifest.layers.length} layers, but its config names ${diffIDs.length}`);
  const layers = manifest.layers.map((blob, i): Layer => {
    const diffID = diffIDs[i] as Digest;
    return {
      mediaType: blob.mediaType,
      diffID: async () => diffID,
      digest: async () => blob.digest,
      size: async () => blob.size,
      known: () => blob,
      compressed: () => open(blob),
      uncompressed: async () => verified(decompressStream(await open(blob)), { digest: diffID }),
    };
  });
  return {
    mediaType: manifest.mediaType ?? mediaTypes.ociManifest,
    id: async () => manifest.config.digest,
    digest: async () => digest,
    manifest: async () => manifest,
    rawManifest: async () => bytes,
    config: async () => config,
    rawConfig: async () => rawConfig,
    layers: async () => layers,
  };
}
