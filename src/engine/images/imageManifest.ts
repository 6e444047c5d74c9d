import { mediaTypes, ociTypeOf } from "../../oci/descriptor.ts";
import type { Manifest } from "../../oci/manifest.ts";

const layerTypes: readonly string[] = [mediaTypes.ociLayer, mediaTypes.ociLayerGzip, mediaTypes.ociLayerZstd];

/** Whether the manifest says that it is of an image whose layers can be unpacked, and of no artifact. */
export function isImageManifest({ config, layers, artifactType }: Manifest): boolean {
  if (artifactType !== undefined || ociTypeOf(config.mediaType) !== mediaTypes.ociConfig) return false;
  return layers.every((layer) => layerTypes.includes(ociTypeOf(layer.mediaType)));
}
