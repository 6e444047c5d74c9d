import { type Descriptor, mediaTypes } from "../oci/descriptor.ts";
import { type Digest, digestHex } from "../oci/digest.ts";
import type { Index, Manifest } from "../oci/manifest.ts";
import { isIndex, parseManifest } from "../oci/parseManifest.ts";
import { isSlipwayError } from "../oci/SlipwayError.ts";
import type { Registry } from "./createRegistry.ts";

/**
 * Puts a manifest or index that may have a `subject`. A registry that does not list referrers itself gets the list as a tag of its own
 * (distribution-spec, "Pushing Manifests with Subject"); two who change that at the same moment may lose one's entry, as the specification says.
 */
export async function putWithSubject(
  registry: Registry,
  repository: string,
  { bytes, mediaType }: { bytes: Uint8Array; mediaType: string },
  reference?: string,
): Promise<Descriptor> {
  const manifest = JSON.parse(Buffer.from(bytes).toString("utf8")) as Manifest | Index;
  const digest = `sha256:${Bun.SHA256.hash(bytes, "hex")}` as Digest;
  const { subject } = await registry.putManifest(repository, reference ?? digest, { bytes, mediaType });
  const descriptor: Descriptor = { mediaType, digest, size: bytes.length };
  if (manifest.subject === undefined || subject !== undefined) return descriptor;
  const artifactType = manifest.artifactType ?? (isIndex(manifest) ? undefined : manifest.config.mediaType);
  const listed: Descriptor = {
    ...descriptor,
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(manifest.annotations === undefined ? {} : { annotations: manifest.annotations }),
  };
  const tag = fallbackTag(manifest.subject.digest);
  const before = (await fallbackList(registry, repository, manifest.subject.digest)) ?? [];
  if (!before.some((each) => each.digest === digest)) {
    const index: Index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [...before, listed] };
    await registry.putManifest(repository, tag, {
      bytes: Buffer.from(JSON.stringify(index)),
      mediaType: mediaTypes.ociIndex,
    });
  }
  return descriptor;
}

/** What has `digest` as its subject: by the referrers API, else by the tag that stands in for it. */
export async function listReferrers(
  registry: Registry,
  repository: string,
  digest: Digest,
  artifactType?: string,
): Promise<Descriptor[]> {
  const bytes = await registry.referrers(repository, digest, artifactType);
  const all = bytes === undefined ? await fallbackList(registry, repository, digest) : manifestsOf(bytes);
  // A registry need not filter.
  return (all ?? []).filter((each) => artifactType === undefined || each.artifactType === artifactType);
}

function fallbackTag(digest: Digest): string {
  return `sha256-${digestHex(digest)}`;
}

async function fallbackList(registry: Registry, repository: string, digest: Digest): Promise<Descriptor[] | undefined> {
  try {
    return manifestsOf((await registry.manifest(repository, fallbackTag(digest))).bytes);
  } catch (error) {
    if (isSlipwayError(error, "MANIFEST_UNKNOWN")) return undefined;
    throw error;
  }
}

function manifestsOf(bytes: Uint8Array): Descriptor[] {
  const index = parseManifest(bytes);
  return isIndex(index) ? index.manifests : [];
}
