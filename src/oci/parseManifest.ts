import { mediaTypes } from "./descriptor.ts";
import type { Descriptor } from "./descriptor.ts";
import { isDigest } from "./digest.ts";
import type { Index, Manifest } from "./manifest.ts";
import { SlipwayError } from "./SlipwayError.ts";

/** More than this is not read: what registries themselves allow (distribution-spec, "Pushing Manifests"). */
export const MAX_MANIFEST_BYTES = 4 * 1024 * 1024;

/**
 * Reads a manifest or an index of either family and checks what is relied on: schema version, and for every descriptor its media type, digest and size.
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
  const manifest = value as Partial<Manifest & Index> & { fsLayers?: unknown };
  if (manifest.schemaVersion !== 2) {
    throw invalid(
      manifest.schemaVersion === undefined
        ? "it has no schemaVersion"
        : `its schemaVersion is ${manifest.schemaVersion}; only 2 is known`,
    );
  }
  if (Array.isArray(manifest.manifests)) {
    if (manifest.layers !== undefined || manifest.config !== undefined)
      throw invalid("it is an index and a manifest at once");
    for (const each of manifest.manifests) checkDescriptor(each);
    return manifest as Index;
  }
  if (!Array.isArray(manifest.layers) || manifest.config === undefined)
    throw invalid("it has neither manifests nor config and layers");
  checkDescriptor(manifest.config);
  for (const each of manifest.layers) checkDescriptor(each);
  return manifest as Manifest;
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

function checkDescriptor(value: Descriptor): void {
  if (typeof value !== "object" || value === null) throw invalid("a descriptor is not an object");
  if (typeof value.mediaType !== "string") throw invalid("a descriptor has no mediaType");
  if (typeof value.digest !== "string" || !isDigest(value.digest))
    throw invalid(`a descriptor's digest is ${JSON.stringify(value.digest)}`);
  if (!Number.isSafeInteger(value.size) || value.size < 0)
    throw invalid(`a descriptor's size is ${JSON.stringify(value.size)}`);
}

function invalid(why: string): SlipwayError {
  return new SlipwayError("INVALID_MANIFEST", `the manifest is not valid: ${why}`);
}
