import type { ImageConfig } from "../oci/config.ts";
import type { Digest } from "../oci/digest.ts";
import type { Manifest } from "../oci/manifest.ts";
import type { Layer } from "./Layer.ts";

/** One image of one platform, wherever it lies. Raw forms are the exact bytes that the digests name. */
export interface Image {
  /** Media type of the manifest. */
  readonly mediaType: string;
  /** Digest of the config: the image ID. */
  id(): Promise<Digest>;
  /** Digest of the manifest. */
  digest(): Promise<Digest>;
  manifest(): Promise<Manifest>;
  rawManifest(): Promise<Uint8Array>;
  config(): Promise<ImageConfig>;
  rawConfig(): Promise<Uint8Array>;
  /** Lowest first. */
  layers(): Promise<Layer[]>;
}
