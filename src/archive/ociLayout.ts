import { createReadStream, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import type { Descriptor } from "../oci/descriptor.ts";
import { type Digest, digestHex, isDigest, sha256 } from "../oci/digest.ts";
import { parseLayout } from "../oci/parseConfig.ts";
import { isIndex, MAX_MANIFEST_BYTES, parseManifest } from "../oci/parseManifest.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";

/** Where a manifest of that tag, digest, or "" for the only one, and the blobs that it names come from. The twin of a registry's. */
export interface OciLayout {
  /** Verified. @throws SlipwayError `MANIFEST_UNKNOWN`, `DIGEST_MISMATCH`, `MANIFEST_TOO_LARGE` */
  manifest(repository: string, reference: string): Promise<{ bytes: Uint8Array; digest: Digest; mediaType: string }>;
  /** Not verified. @throws SlipwayError `BLOB_UNKNOWN` */
  blob(repository: string, blob: Descriptor): Promise<ReadableStream<Uint8Array>>;
}

const TAG = "org.opencontainers.image.ref.name";

/**
 * An OCI image layout in a directory (image-spec, image-layout.md).
 * @throws SlipwayError `INVALID_LAYOUT`
 */
export function openOciLayout(directory: string): OciLayout {
  const invalid = (why: string, cause?: unknown): SlipwayError =>
    new SlipwayError("INVALID_LAYOUT", `${directory} is no OCI image layout: ${why}`, { cause });
  let bytes: Uint8Array;
  try {
    parseLayout(readFileSync(join(directory, "oci-layout")));
    bytes = readFileSync(join(directory, "index.json"));
  } catch (error) {
    throw invalid(`${(error as Error).message}`, error);
  }
  const index = parseManifest(bytes);
  if (!isIndex(index)) throw invalid("its index.json is no index");

  function find(reference: string): Digest {
    if (isDigest(reference)) return reference as Digest;
    const all = index as { manifests: (Descriptor & { annotations?: Record<string, string> })[] };
    const tagged = all.manifests.filter(({ annotations }) =>
      reference === "" ? all.manifests.length === 1 : annotations?.[TAG] === reference,
    );
    const [only] = tagged;
    if (only !== undefined && tagged.length === 1) return only.digest as Digest;
    const tags = all.manifests.flatMap(({ annotations }) => annotations?.[TAG] ?? []);
    throw new SlipwayError(
      "MANIFEST_UNKNOWN",
      reference === ""
        ? `${directory} holds ${all.manifests.length} images`
        : `${directory} holds no image ${reference}`,
      { hint: tags.length === 0 ? "Name one by its digest, @sha256:…" : `It has the tags ${tags.join(", ")}.` },
    );
  }

  const path = (digest: string): string => {
    if (!isDigest(digest)) throw invalid(`${JSON.stringify(digest)} is no digest`);
    return join(directory, "blobs", "sha256", digestHex(digest as Digest));
  };

  function missing(digest: string, error: unknown): SlipwayError {
    return new SlipwayError("BLOB_UNKNOWN", `${directory} does not hold the blob ${digest}`, { cause: error });
  }

  return {
    async manifest(_, reference) {
      const digest = find(reference);
      let found: Uint8Array;
      try {
        if (statSync(path(digest)).size > MAX_MANIFEST_BYTES)
          throw new SlipwayError("MANIFEST_TOO_LARGE", `manifest ${digest} is larger than ${MAX_MANIFEST_BYTES} bytes`);
        found = readFileSync(path(digest));
      } catch (error) {
        throw error instanceof SlipwayError ? error : missing(digest, error);
      }
      if (sha256(found) !== digest)
        throw new SlipwayError("DIGEST_MISMATCH", `content that should be ${digest} is ${sha256(found)}`);
      return { bytes: found, digest, mediaType: (JSON.parse(Buffer.from(found).toString()) as Descriptor).mediaType };
    },
    async blob(_, { digest }) {
      const file = path(digest);
      try {
        statSync(file);
      } catch (error) {
        throw missing(digest, error);
      }
      return Readable.toWeb(createReadStream(file)) as unknown as ReadableStream<Uint8Array>;
    },
  };
}
