import type { Descriptor } from "../oci/descriptor.ts";
import { type Digest, isDigest, sha256 } from "../oci/digest.ts";
import type { Index } from "../oci/manifest.ts";
import { parseLayout } from "../oci/parseConfig.ts";
import { isIndex, MAX_MANIFEST_BYTES, parseManifest } from "../oci/parseManifest.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { type ArchiveFiles, readSmall } from "./archiveFiles.ts";
import { blobPath } from "./layoutSink.ts";

/** Where a manifest of that tag, digest, or "" for the only one, and the blobs that it names come from. The twin of a registry's. */
export interface OciLayout {
  /** What it lists. */
  readonly index: Index;
  /** Verified. @throws SlipwayError `MANIFEST_UNKNOWN`, `DIGEST_MISMATCH`, `MANIFEST_TOO_LARGE` */
  manifest(repository: string, reference: string): Promise<{ bytes: Uint8Array; digest: Digest; mediaType: string }>;
  /** Not verified. @throws SlipwayError `BLOB_UNKNOWN` */
  blob(repository: string, blob: Descriptor): Promise<ReadableStream<Uint8Array>>;
}

const TAG = "org.opencontainers.image.ref.name";

/**
 * An OCI image layout in a directory or a tar (image-spec, image-layout.md). The files stay the caller's to close.
 * @throws SlipwayError `INVALID_LAYOUT`
 */
export async function readOciLayout(files: ArchiveFiles): Promise<OciLayout> {
  const invalid = (why: string, cause?: unknown): SlipwayError =>
    new SlipwayError("INVALID_LAYOUT", `${files.name} is no OCI image layout: ${why}`, { cause });
  let bytes: Uint8Array;
  try {
    parseLayout(await readSmall(files, "oci-layout", MAX_MANIFEST_BYTES));
    bytes = await readSmall(files, "index.json", MAX_MANIFEST_BYTES);
  } catch (error) {
    throw invalid(`${(error as Error).message}`, error);
  }
  const index = parseManifest(bytes);
  if (!isIndex(index)) throw invalid("its index.json is no index");

  function find(reference: string): Digest {
    if (isDigest(reference)) return reference;
    const all = (index as Index).manifests;
    const tagged = all.filter(({ annotations }) =>
      reference === "" ? all.length === 1 : annotations?.[TAG] === reference,
    );
    const [only] = tagged;
    if (only !== undefined && tagged.length === 1) return only.digest;
    const tags = all.flatMap(({ annotations }) => annotations?.[TAG] ?? []);
    throw new SlipwayError(
      "MANIFEST_UNKNOWN",
      reference === "" ? `${files.name} holds ${all.length} images` : `${files.name} holds no image ${reference}`,
      { hint: tags.length === 0 ? "Name one by its digest, @sha256:…" : `It has the tags ${tags.join(", ")}.` },
    );
  }

  function sizeOf(digest: Digest): number {
    const size = files.size(blobPath(digest));
    if (size === undefined) throw new SlipwayError("BLOB_UNKNOWN", `${files.name} does not hold the blob ${digest}`);
    return size;
  }

  return {
    index,
    async manifest(_, reference) {
      const digest = find(reference);
      if (sizeOf(digest) > MAX_MANIFEST_BYTES)
        throw new SlipwayError("MANIFEST_TOO_LARGE", `manifest ${digest} is larger than ${MAX_MANIFEST_BYTES} bytes`);
      const found = await readSmall(files, blobPath(digest), MAX_MANIFEST_BYTES);
      if (sha256(found) !== digest)
        throw new SlipwayError("DIGEST_MISMATCH", `content that should be ${digest} is ${sha256(found)}`);
      const { mediaType } = parseManifest(found);
      return { bytes: found, digest, mediaType: mediaType ?? "" };
    },
    async blob(_, { digest }) {
      sizeOf(digest);
      return files.stream(blobPath(digest));
    },
  };
}
