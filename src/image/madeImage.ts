import type { ImageConfig } from "../oci/config.ts";
import { type Descriptor, mediaTypes } from "../oci/descriptor.ts";
import { sha256 } from "../oci/digest.ts";
import type { Manifest } from "../oci/manifest.ts";
import type { Image } from "./Image.ts";
import type { Layer } from "./Layer.ts";

export interface Parts {
  config: ImageConfig;
  /** The bytes of the config: their digest is the image ID. */
  rawConfig: () => Uint8Array;
  /** Lowest first, with the media types that the manifest is to have. */
  layers: Layer[];
  dockerTypes: boolean;
  /** Of the manifest. */
  annotations: Record<string, string>;
}

/** An image of a config and layers; its manifest is written from them when it is asked for. The same parts give the same bytes. */
export function madeImage({ config, rawConfig, layers, dockerTypes, annotations }: Parts): Image {
  const mediaType = dockerTypes ? mediaTypes.dockerManifest : mediaTypes.ociManifest;
  let made: Promise<Uint8Array> | undefined;

  async function makeManifest(): Promise<Uint8Array> {
    const descriptors: Descriptor[] = [];
    for (const layer of layers) {
      descriptors.push({ mediaType: layer.mediaType, digest: await layer.digest(), size: await layer.size() });
    }
    const raw = rawConfig();
    const manifest: Manifest = {
      schemaVersion: 2,
      mediaType,
      config: {
        mediaType: dockerTypes ? mediaTypes.dockerConfig : mediaTypes.ociConfig,
        digest: sha256(raw),
        size: raw.length,
      },
      layers: descriptors,
      ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
    };
    return Buffer.from(JSON.stringify(manifest));
  }

  const rawManifest = (): Promise<Uint8Array> => {
    made ??= makeManifest();
    return made;
  };
  return {
    mediaType,
    id: async () => sha256(rawConfig()),
    digest: async () => sha256(await rawManifest()),
    manifest: async () => JSON.parse(Buffer.from(await rawManifest()).toString("utf8")) as Manifest,
    rawManifest,
    config: async () => config,
    rawConfig: async () => rawConfig(),
    layers: async () => layers,
  };
}
