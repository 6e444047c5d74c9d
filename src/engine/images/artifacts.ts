import { type Descriptor, mediaTypes } from "../../oci/descriptor.ts";
import { verified } from "../../image/verified.ts";
import { createHasher, type Digest, isDigest } from "../../oci/digest.ts";
import type { Manifest } from "../../oci/manifest.ts";
import { parseReference } from "../../oci/reference.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { listReferrers, putWithSubject } from "../../registry/referrers.ts";
import type { Registry } from "../../registry/createRegistry.ts";
import type { Engine } from "../Engine.ts";
import type { CopyEvent } from "../events.ts";
import { openRegistry, type RegistryAccess } from "./openRegistry.ts";

export interface ArtifactFile {
  mediaType: string;
  /** A file of the disk (`Bun.file`) is read, and not held in memory. */
  content: Blob;
  annotations?: Record<string, string>;
}

export interface Artifact {
  artifactType: string;
  /** What it is about, in the same repository: a tag, a digest, or a whole name. */
  subject?: string;
  files: readonly ArtifactFile[];
  annotations?: Record<string, string>;
}

const EMPTY = Buffer.from("{}");

/**
 * Pushes an artifact (image-spec, manifest.md "Guidelines for Artifact Usage"): its files as layers under an empty config. Under the reference's tag;
 * by its digest alone where it is about something and `reference` names no tag.
 */
export async function pushArtifact(
  engine: Engine,
  reference: string,
  artifact: Artifact,
  access: RegistryAccess = {},
): Promise<Descriptor> {
  const { domain, path, tag } = parseReference(reference);
  const registry = openRegistry(engine, domain, access);
  const put = async (content: Blob, mediaType: string): Promise<Descriptor> => {
    const { digest, size } = await measure(content);
    const tell = (status: CopyEvent["status"], more = {}): void =>
      engine.emit({ type: "copy.blob", digest, status, ...more });
    if (await registry.hasBlob(path, digest)) tell("exists");
    else {
      // Changed meanwhile, it is not what the manifest is going to name.
      const open = async () => verified(content.stream(), { digest, size });
      const onProgress = (current: number): void => tell("copying", { current, total: size });
      await registry.upload(path, { digest, size, open }, { onProgress });
      tell("copied");
    }
    return { mediaType, digest, size };
  };
  const config = { ...(await put(new Blob([EMPTY]), mediaTypes.ociEmpty)), data: EMPTY.toString("base64") };
  const layers: Descriptor[] = [];
  for (const { content, mediaType, annotations } of artifact.files)
    layers.push({ ...(await put(content, mediaType)), ...(annotations === undefined ? {} : { annotations }) });
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    artifactType: artifact.artifactType,
    config,
    // A manifest has at least one layer, as registries want it.
    layers: layers.length > 0 ? layers : [config],
    ...(artifact.subject === undefined
      ? {}
      : { subject: await describe(registry, path, inRepository(artifact.subject, { domain, path })) }),
    ...(artifact.annotations === undefined ? {} : { annotations: artifact.annotations }),
  };
  const named = artifact.subject === undefined || /:[^/]*$/.test(reference) ? tag : undefined;
  const bytes = Buffer.from(JSON.stringify(manifest));
  return putWithSubject(registry, path, { bytes, mediaType: mediaTypes.ociManifest }, named);
}

/** What is about the image or artifact of that name: signatures, SBOMs, attestations. */
export async function referrers(
  engine: Engine,
  reference: string,
  options: RegistryAccess & { artifactType?: string } = {},
): Promise<Descriptor[]> {
  const { domain, path, tag = "latest", digest } = parseReference(reference);
  const registry = openRegistry(engine, domain, options);
  const subject: Digest = digest ?? (await describe(registry, path, tag)).digest;
  return listReferrers(registry, path, subject, options.artifactType);
}

/** Tag or digest. */
function inRepository(subject: string, { domain, path }: { domain: string; path: string }): string {
  if (isDigest(subject) || /^\w[\w.-]{0,127}$/.test(subject)) return subject;
  const found = parseReference(subject);
  if (found.domain !== domain || found.path !== path)
    throw new SlipwayError("USAGE", `${subject} is not in ${domain}/${path}`, {
      hint: "An artifact lies in the repository of what it is about.",
    });
  return found.digest ?? found.tag ?? "latest";
}

async function measure(content: Blob): Promise<{ digest: Digest; size: number }> {
  const hasher = createHasher();
  let size = 0;
  for await (const chunk of content.stream()) {
    hasher.update(chunk);
    size += chunk.length;
  }
  return { digest: hasher.digest(), size };
}

async function describe(registry: Registry, path: string, reference: string): Promise<Descriptor> {
  const { bytes, digest, mediaType } = await registry.manifest(path, reference);
  const inside = (JSON.parse(Buffer.from(bytes).toString("utf8")) as Manifest).mediaType;
  return { mediaType: inside ?? mediaType, digest: isDigest(reference) ? reference : digest, size: bytes.length };
}
