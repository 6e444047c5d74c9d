import { mediaTypes } from "./descriptor.ts";
import { isDigest } from "./digest.ts";
import { indexFault, manifestFault } from "./faults.ts";
import type { Index, Manifest } from "./manifest.ts";
import { SlipwayError } from "./SlipwayError.ts";

/** More than this is not read: what registries themselves allow (distribution-spec, "Pushing Manifests"). */
export const MAX_MANIFEST_BYTES = 4 * 1024 * 1024;

/**
 * Reads a manifest or an index of either family and checks it by the specification. A manifest names config and layers by digests that can
 * be verified; entries of an index that cannot be are left out of what is returned.
 * @throws SlipwayError `INVALID_MANIFEST`, `MANIFEST_TOO_LARGE`
 */
export function parseManifest(bytes: Uint8Array): Manifest | Index {
  if (bytes.length > MAX_MANIFEST_BYTES) {
    throw new SlipwayError(
      "MANIFEST_TOO_LARGE",
      `a manifest of ${bytes.length} bytes; the bound is ${MAX_MANIFEST_BYTES}`,
    );
  }
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch (error) {
    throw new SlipwayError("INVALID_MANIFEST", "the manifest is not JSON", { cause: error });
  }
  if (typeof value !== "object" || value === null) throw invalid("it is not an object");
  const manifest = value as Partial<Manifest & Index>;
  // A text that is both could be read as the one here and as the other elsewhere, under the same digest.
  if (manifest.manifests && (manifest.layers || manifest.config))
    throw invalid("it is an index and a manifest at once");
  if (manifest.manifests) {
    const fault = indexFault(manifest);
    if (fault !== undefined) throw invalid(fault);
    return { ...(manifest as Index), manifests: manifest.manifests.filter(({ digest }) => isDigest(digest)) };
  }
  const fault = manifestFault(manifest);
  if (fault !== undefined) throw invalid(fault);
  const { config, layers } = manifest as Manifest;
  for (const { digest } of [config, ...(layers ?? [])])
    if (!isDigest(digest)) throw invalid(`${JSON.stringify(digest)} is of an algorithm that is not known`);
  return { ...(manifest as Manifest), layers: layers ?? [] };
}

export function isIndex(manifest: Manifest | Index): manifest is Index {
  return "manifests" in manifest;
}

/** Media types that a client of this version accepts for a reference. */
export const manifestTypes: readonly string[] = [
  mediaTypes.ociIndex,
  mediaTypes.ociManifest,
  mediaTypes.dockerList,
  mediaTypes.dockerManifest,
];

function invalid(why: string): SlipwayError {
  return new SlipwayError("INVALID_MANIFEST", `the manifest is not valid: ${why}`);
}
