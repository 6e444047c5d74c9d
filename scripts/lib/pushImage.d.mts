export interface PushedManifest {
  mediaType: string;
  digest: `sha256:${string}`;
  size: number;
}
export interface PushedImage extends PushedManifest {
  platform: { os: string; architecture: string; variant?: string };
  /** Of the descriptor that names it in an index. */
  annotations?: Record<string, string>;
  imageID: `sha256:${string}`;
  diffIDs: `sha256:${string}`[];
}
export interface ImageToPush {
  /** Uncompressed tars, lowest first. A function makes its layer when its turn comes: one is in memory at a time. */
  layers: (Uint8Array | (() => Uint8Array))[];
  config?: object;
  history?: object[];
  /** Docker's media types instead of OCI's. */
  docker?: boolean;
  platform?: { os: string; architecture: string; variant?: string };
}
/** Makes an image of `layers` and pushes it under `name:tag` to a registry without authentication. */
export function pushImage(registry: string, name: string, tag: string, image: ImageToPush): Promise<PushedImage>;
/** Pushes an index (or Docker's manifest list) of manifests that the repository has already. */
export function pushIndex(
  registry: string,
  name: string,
  tag: string,
  manifests: PushedImage[],
  options?: { docker?: boolean },
): Promise<PushedManifest>;
