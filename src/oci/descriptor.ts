import type { Digest } from "./digest.ts";
import type { Platform } from "./platform.ts";

/** image-spec, descriptor.md. Sizes in bytes. */
export interface Descriptor {
  mediaType: string;
  digest: Digest;
  size: number;
  urls?: string[];
  annotations?: Record<string, string>;
  data?: string;
  artifactType?: string;
  platform?: Platform;
}

export const mediaTypes = {
  ociIndex: "application/vnd.oci.image.index.v1+json",
  ociManifest: "application/vnd.oci.image.manifest.v1+json",
  ociConfig: "application/vnd.oci.image.config.v1+json",
  ociLayer: "application/vnd.oci.image.layer.v1.tar",
  ociLayerGzip: "application/vnd.oci.image.layer.v1.tar+gzip",
  ociLayerZstd: "application/vnd.oci.image.layer.v1.tar+zstd",
  ociEmpty: "application/vnd.oci.empty.v1+json",
  dockerList: "application/vnd.docker.distribution.manifest.list.v2+json",
  dockerManifest: "application/vnd.docker.distribution.manifest.v2+json",
  dockerConfig: "application/vnd.docker.container.image.v1+json",
  dockerLayer: "application/vnd.docker.image.rootfs.diff.tar",
  dockerLayerGzip: "application/vnd.docker.image.rootfs.diff.tar.gzip",
  dockerLayerZstd: "application/vnd.docker.image.rootfs.diff.tar.zstd",
  dockerForeignLayerGzip: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
} as const;

const twins: [oci: string, docker: string][] = [
  [mediaTypes.ociIndex, mediaTypes.dockerList],
  [mediaTypes.ociManifest, mediaTypes.dockerManifest],
  [mediaTypes.ociConfig, mediaTypes.dockerConfig],
  [mediaTypes.ociLayer, mediaTypes.dockerLayer],
  [mediaTypes.ociLayerGzip, mediaTypes.dockerLayerGzip],
  [mediaTypes.ociLayerZstd, mediaTypes.dockerLayerZstd],
];

/** The OCI's name of a media type; others stay. */
export function ociTypeOf(mediaType: string): string {
  return twins.find(([, docker]) => docker === mediaType)?.[0] ?? mediaType;
}

/** Docker's name of a media type; others stay. */
export function dockerTypeOf(mediaType: string): string {
  return twins.find(([oci]) => oci === mediaType)?.[1] ?? mediaType;
}
