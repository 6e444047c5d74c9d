import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";

/**
 * Makes an image of `layers` (uncompressed tars, lowest first) and pushes it under `name:tag` to a registry without authentication.
 * @param {string} registry `http://127.0.0.1:5000`
 * @param {{ layers: (Uint8Array | (() => Uint8Array))[], config?: object, history?: object[], docker?: boolean, platform?: { os: string, architecture: string, variant?: string } }} image
 *   a function makes its layer when its turn comes: one is in memory at a time; `docker`: Docker's media types instead of OCI's
 * @returns the descriptor of the manifest, and the image's ID and diffIDs
 */
export async function pushImage(
  registry,
  name,
  tag,
  { layers, config = {}, history, docker = false, platform = hostPlatform() },
) {
  const types = docker ? dockerTypes : ociTypes;
  const diffIDs = [];
  const blobs = [];
  for (const layer of layers) {
    const tar = typeof layer === "function" ? layer() : layer;
    diffIDs.push(digestOf(tar));
    const compressed = gzipSync(tar, { level: 6 });
    await pushBlob(registry, name, compressed);
    blobs.push(descriptor(types.layer, compressed));
  }
  const configBytes = Buffer.from(
    JSON.stringify({
      ...platform,
      created: "1970-01-01T00:00:00Z",
      config,
      rootfs: { type: "layers", diff_ids: diffIDs },
      history: history ?? layers.map(() => ({ created: "1970-01-01T00:00:00Z", created_by: "busybox-static" })),
    }),
  );
  await pushBlob(registry, name, configBytes);
  const manifest = {
    schemaVersion: 2,
    mediaType: types.manifest,
    config: descriptor(types.config, configBytes),
    layers: blobs,
  };
  const pushed = await pushManifest(registry, name, tag, manifest);
  return { ...pushed, platform, imageID: digestOf(configBytes), diffIDs };
}

/** Pushes an index (or Docker's manifest list) of manifests that the repository has already. */
export async function pushIndex(registry, name, tag, manifests, { docker = false } = {}) {
  return pushManifest(registry, name, tag, {
    schemaVersion: 2,
    mediaType: docker ? dockerTypes.index : ociTypes.index,
    manifests: manifests.map(({ mediaType, digest, size, platform, annotations }) => ({
      ...{ mediaType, digest, size, platform },
      ...(annotations === undefined ? {} : { annotations }),
    })),
  });
}

async function pushManifest(registry, name, tag, manifest) {
  const bytes = Buffer.from(JSON.stringify(manifest));
  await request(`${registry}/v2/${name}/manifests/${tag}`, {
    method: "PUT",
    headers: { "content-type": manifest.mediaType },
    body: bytes,
  });
  return descriptor(manifest.mediaType, bytes);
}

async function pushBlob(registry, name, bytes) {
  const digest = digestOf(bytes);
  if ((await fetch(`${registry}/v2/${name}/blobs/${digest}`, { method: "HEAD" })).ok) return;
  const started = await request(`${registry}/v2/${name}/blobs/uploads/`, { method: "POST" });
  const location = new URL(started.headers.get("location"), registry);
  location.searchParams.set("digest", digest);
  await request(location, { method: "PUT", headers: { "content-type": "application/octet-stream" }, body: bytes });
}

async function request(url, options) {
  const response = await fetch(url, options);
  if (!response.ok) throw new Error(`${options.method} ${url}: ${response.status} ${await response.text()}`);
  return response;
}

function descriptor(mediaType, bytes) {
  return { mediaType, digest: digestOf(bytes), size: bytes.length };
}

function digestOf(bytes) {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

function hostPlatform() {
  return { os: "linux", architecture: process.arch === "arm64" ? "arm64" : "amd64" };
}

const ociTypes = {
  index: "application/vnd.oci.image.index.v1+json",
  manifest: "application/vnd.oci.image.manifest.v1+json",
  config: "application/vnd.oci.image.config.v1+json",
  layer: "application/vnd.oci.image.layer.v1.tar+gzip",
};
const dockerTypes = {
  index: "application/vnd.docker.distribution.manifest.list.v2+json",
  manifest: "application/vnd.docker.distribution.manifest.v2+json",
  config: "application/vnd.docker.container.image.v1+json",
  layer: "application/vnd.docker.image.rootfs.diff.tar.gzip",
};
