import type { ImageConfig } from "../../oci/config.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import type { Digest } from "../../oci/digest.ts";
import type { Index, Manifest } from "../../oci/manifest.ts";
import { parseConfig } from "../../oci/parseConfig.ts";
import { isIndex, parseManifest } from "../../oci/parseManifest.ts";
import { formatPlatform, hostPlatform, normalizePlatform, parsePlatform } from "../../oci/platform.ts";
import { pickPlatform } from "../../oci/platformMatch.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import type { ResolvedManifest } from "../../registry/createRegistry.ts";
import type { Lease } from "../../store/Store.ts";
import type { Engine, PullOptions } from "../Engine.ts";
import { fetchBlob, type ImageName, type ImageSource } from "./fetchBlob.ts";

const MAX_CONFIG_BYTES = 8 * 1024 * 1024;

/** An image of one platform whose manifest and config are known; its layers may be anywhere. */
export interface ResolvedImage {
  /** What the source gave for the reference: index or manifest. */
  top: Digest;
  topBytes: Uint8Array;
  /** Of the image's manifest. */
  digest: Digest;
  bytes: Uint8Array;
  manifest: Manifest;
  /** Digest of the config, which is a blob of the store under the lease. */
  id: Digest;
  config: ImageConfig;
}

/**
 * The image that `top` names for the platform that is asked for, or for this machine's.
 * @throws SlipwayError `NO_MATCHING_PLATFORM`, `INVALID_MANIFEST`, `INVALID_IMAGE`, `SIZE_MISMATCH`, those of `fetchBlob`
 */
export async function resolveRemote(
  engine: Engine,
  source: ImageSource,
  reference: ImageName,
  options: PullOptions & { top: ResolvedManifest; lease: Lease },
): Promise<ResolvedImage> {
  const { top, lease } = options;
  const { bytes, manifest, digest } = await chosenManifest(source, reference, top, options);
  lease.protect("blob", manifest.config.digest);
  const config = await readConfig(engine, source, reference, { blob: manifest.config, lease });
  if (manifest.layers.length !== config.rootfs.diff_ids.length) {
    throw new SlipwayError(
      "INVALID_IMAGE",
      `${reference.canonical} has ${manifest.layers.length} layers, but its config names ${config.rootfs.diff_ids.length}`,
    );
  }
  return { top: top.digest, topBytes: top.bytes, digest, bytes, manifest, id: manifest.config.digest, config };
}

/** The manifest of the platform that was asked for, or of this machine's. */
export async function chosenManifest(
  source: ImageSource,
  reference: ImageName,
  top: { bytes: Uint8Array; digest: Digest },
  options: PullOptions,
): Promise<{ bytes: Uint8Array; manifest: Manifest; digest: Digest }> {
  let { bytes, digest } = top;
  let manifest: Manifest | Index = parseManifest(bytes);
  // An index may name indexes (image-spec, image-index.md); one level of them is what anybody makes.
  for (let depth = 0; isIndex(manifest) && depth < 3; depth++) {
    const wanted = options.platform === undefined ? hostPlatform() : normalizePlatform(parsePlatform(options.platform));
    const entries = manifest.manifests.filter((each) => each.platform !== undefined && each.platform.os !== "unknown");
    const found =
      pickPlatform(wanted, entries) ?? (manifest.manifests.length === 1 ? manifest.manifests[0] : undefined);
    if (found === undefined) {
      const there = entries.map((each) => (each.platform === undefined ? "" : formatPlatform(each.platform)));
      throw new SlipwayError(
        "NO_MATCHING_PLATFORM",
        `${reference.canonical} has no image for ${formatPlatform(wanted)}`,
        {
          hint: `It has: ${there.join(", ")}. Ask for one by --platform.`,
        },
      );
    }
    const next = await source.manifest(reference.path, found.digest);
    if (next.bytes.length !== found.size) {
      throw new SlipwayError(
        "SIZE_MISMATCH",
        `manifest ${found.digest} of ${reference.canonical} has ${next.bytes.length} bytes instead of ${found.size}`,
      );
    }
    bytes = next.bytes;
    digest = next.digest;
    manifest = parseManifest(bytes);
  }
  if (isIndex(manifest))
    throw new SlipwayError("INVALID_MANIFEST", `${reference.canonical} is an index of indexes without end`);
  return { bytes, manifest, digest };
}

async function readConfig(
  engine: Engine,
  source: ImageSource,
  reference: ImageName,
  { blob, lease }: { blob: Descriptor; lease: Lease },
): Promise<ImageConfig> {
  const { store } = engine;
  if (blob.size > MAX_CONFIG_BYTES)
    throw new SlipwayError("INVALID_IMAGE", `the config of ${reference.canonical} is ${blob.size} bytes`);
  if (!store.blobs.has(blob.digest)) {
    await fetchBlob(engine, source, reference, blob, { lease });
  }
  return parseConfig(store.blobs.read(blob.digest), reference.canonical);
}
