import { verified } from "../../image/verified.ts";
import { decompressStream } from "../../layer/decompressStream.ts";
import { type Descriptor, mediaTypes } from "../../oci/descriptor.ts";
import { type Digest, sha256 } from "../../oci/digest.ts";
import type { ImageConfig } from "../../oci/config.ts";
import type { Index, Manifest } from "../../oci/manifest.ts";
import { parseConfig } from "../../oci/parseConfig.ts";
import { isIndex, manifestTypes, parseManifest } from "../../oci/parseManifest.ts";
import { hostPlatform } from "../../oci/platform.ts";
import { matchesPlatform, pickPlatform } from "../../oci/platformMatch.ts";
import { isSlipwayError } from "../../oci/SlipwayError.ts";
import type { Lease } from "../../store/Store.ts";
import type { Engine } from "../Engine.ts";
import type { ImageSource } from "../images/fetchBlob.ts";
import { isImageManifest } from "../images/imageManifest.ts";
import { fetchImage } from "../images/pull.ts";
import type { Content } from "./content.ts";
import { Refusal } from "./protocol.ts";
import { platformOf } from "../images/resolveImage.ts";

export interface Taken {
  digest: Digest;
  subject?: Digest;
  /** What the tag stands for now, where that is an image. */
  image?: Digest;
}

const MAX_CONFIG_BYTES = 8 * 1024 * 1024;

/**
 * Takes a manifest or an index whose parts are all here. An image that gets a tag, or is for this machine, is unpacked and in the store as a
 * pulled one is, its digests kept; of an index with a tag that is the image for this machine, or else the first one. All else is kept as it
 * came: images of other platforms with the index that names them, artifacts until they are deleted.
 * @throws Refusal `MANIFEST_INVALID`, `MANIFEST_BLOB_UNKNOWN`, `DIGEST_INVALID`
 */
export async function takeManifest(
  engine: Engine,
  content: Content,
  {
    repository,
    reference,
    bytes,
    contentType,
    lease,
  }: {
    repository: string;
    reference: { tag: string } | { digest: Digest };
    bytes: Uint8Array;
    contentType: string;
    lease: Lease;
  },
): Promise<Taken> {
  const { store } = engine;
  const digest = sha256(bytes);
  if ("digest" in reference && reference.digest !== digest)
    throw new Refusal(400, "DIGEST_INVALID", `the manifest is ${digest}`);
  const manifest = readManifest(bytes, contentType);
  const mediaType = manifest.mediaType ?? contentType;
  const tag = "tag" in reference ? reference.tag : undefined;
  const parts = isIndex(manifest) ? [] : distinct([manifest.config, ...manifest.layers]);
  for (const part of parts) await require(part);

  store.blobs.write(bytes, lease);
  const subject = manifest.subject?.digest;
  const artifactType = manifest.artifactType ?? (isIndex(manifest) ? undefined : manifest.config.mediaType);
  const children = isIndex(manifest) ? manifest.manifests.map((child) => requireChild(child)) : [];
  /** After all that may still refuse it. */
  const record = (): void =>
    store.manifests.put(
      {
        repository,
        digest,
        mediaType,
        size: bytes.length,
        ...(artifactType === undefined ? {} : { artifactType }),
        ...(subject === undefined ? {} : { subject }),
        ...(manifest.annotations === undefined ? {} : { annotations: manifest.annotations }),
      },
      parts.filter((part) => (part.urls ?? []).length === 0).map((part) => part.digest),
    );

  const chosen = isIndex(manifest) ? chosenChild(manifest) : isImage(manifest) ? { digest, manifest } : undefined;
  let image: Digest | undefined;
  if (chosen !== undefined && (tag !== undefined || (!isIndex(manifest) && isOurs(manifest)))) {
    image = await unpack(chosen);
    const id = image;
    store.transaction(() => {
      record();
      store.images.put(id, chosen.digest);
      store.images.addRepoDigest(repository, chosen.digest, id);
      for (const each of new Set([digest, chosen.digest, ...children])) {
        if (store.manifests.get(repository, each)?.image === undefined) store.manifests.belong(repository, each, id);
      }
      if (tag === undefined) return;
      if (digest !== chosen.digest) store.images.addRepoDigest(repository, digest, id);
      store.images.tag(`${repository}:${tag}`, id, digest, { source: digest });
      store.manifests.untag(repository, tag);
    });
  } else if (tag !== undefined) {
    store.transaction(() => {
      record();
      store.images.untag(`${repository}:${tag}`);
      store.manifests.tag(repository, tag, digest);
    });
  } else record();
  return { digest, ...(subject === undefined ? {} : { subject }), ...(image === undefined ? {} : { image }) };

  /** The blob is here, of that size, and stays. */
  async function require(part: Descriptor): Promise<void> {
    if ((part.urls ?? []).length > 0) return;
    lease.protect("blob", part.digest);
    const found = content.blob(part.digest);
    if (found === undefined)
      throw new Refusal(400, "MANIFEST_BLOB_UNKNOWN", `blob ${part.digest} is not here: it comes before its manifest`);
    if (found.size !== part.size)
      throw new Refusal(400, "MANIFEST_INVALID", `blob ${part.digest} has ${found.size} bytes, not ${part.size}`);
    // A layer that was built here and is named by a manifest from elsewhere: its compressed form is one to keep.
    if ("layer" in found) await store.blobs.ingest(await found.layer.compressed(), part, { lease });
  }

  function requireChild({ digest: child, size }: Descriptor): Digest {
    lease.protect("blob", child);
    const known = store.manifests.get(repository, child) ?? adopted(child);
    if (known === undefined)
      throw new Refusal(400, "MANIFEST_BLOB_UNKNOWN", `manifest ${child} is not here: it comes before its index`);
    if (known.size !== size)
      throw new Refusal(400, "MANIFEST_INVALID", `manifest ${child} has ${known.size} bytes, not ${size}`);
    return child;
  }

  /** A manifest that came another way: with an image of the store, or to another repository. Recorded for this one. */
  function adopted(child: Digest): { size: number } | undefined {
    const elsewhere = store.manifests.list().some((each) => each.digest === child);
    const ofImage = store.images.byRepoDigest(repository, child)?.manifest === child;
    if ((!elsewhere && !ofImage) || !store.blobs.has(child)) return undefined;
    const raw = store.blobs.read(child);
    const found = parseManifest(raw);
    const blobs = isIndex(found) ? [] : distinct([found.config, ...found.layers]).map((each) => each.digest);
    const type = found.mediaType ?? mediaTypes.ociManifest;
    store.manifests.put({ repository, digest: child, mediaType: type, size: raw.length }, blobs);
    return { size: raw.length };
  }

  function chosenChild(index: Index): { digest: Digest; manifest: Manifest } | undefined {
    const runnable = index.manifests.flatMap((child) => {
      const found = parseManifest(store.blobs.read(child.digest));
      if (isIndex(found) || child.platform?.os === "unknown" || !isImage(found)) return [];
      return [
        {
          ...(child.platform === undefined ? {} : { platform: child.platform }),
          digest: child.digest,
          manifest: found,
        },
      ];
    });
    return pickPlatform(hostPlatform(), runnable) ?? runnable[0];
  }

  function isImage(found: Manifest): boolean {
    return configOf(found) !== undefined;
  }

  function isOurs(found: Manifest): boolean {
    const config = configOf(found);
    return config !== undefined && matchesPlatform(hostPlatform(), platformOf(config));
  }

  /** Undefined where the manifest is of no image that can be unpacked. @throws Refusal where it says that it is one and is not */
  function configOf(found: Manifest): ImageConfig | undefined {
    const { config } = found;
    if (!isImageManifest(found)) return undefined;
    if (config.size > MAX_CONFIG_BYTES) throw new Refusal(400, "MANIFEST_INVALID", `a config of ${config.size} bytes`);
    try {
      return parseConfig(store.blobs.read(config.digest), repository);
    } catch (error) {
      if (isSlipwayError(error, "INVALID_IMAGE")) throw new Refusal(400, "MANIFEST_INVALID", error.message);
      throw error;
    }
  }

  /** A layer that is here is not unpacked again: that a blob is it has to be seen, or it would be given out as it from then on. */
  async function proveForms({ config, layers }: Manifest): Promise<void> {
    const { diff_ids } = parseConfig(store.blobs.read(config.digest), repository).rootfs;
    for (const [i, { digest: blob, urls = [] }] of layers.entries()) {
      const diffID = diff_ids[i];
      if (diffID === undefined || urls.length > 0 || store.layers.get(diffID) === undefined) continue;
      if (store.layers.blobs(diffID).some((form) => form.digest === blob)) continue;
      const tar = verified(decompressStream(Bun.file(store.blobs.path(blob)).stream()), { digest: diffID });
      for await (const _ of tar);
    }
  }

  async function unpack(of: { digest: Digest; manifest: Manifest }): Promise<Digest> {
    const raw = store.blobs.read(of.digest);
    const source: ImageSource = {
      manifest: async () => ({ bytes: raw, digest: of.digest, mediaType: of.manifest.mediaType ?? "" }),
      blob: async (_, blob) => {
        throw new Refusal(400, "MANIFEST_BLOB_UNKNOWN", `blob ${blob.digest} is not here`);
      },
    };
    const top = await source.manifest("", of.digest);
    try {
      await proveForms(of.manifest);
      const { id } = await fetchImage(engine, source, { path: "", canonical: repository }, { top, lease });
      return id;
    } catch (error) {
      // What was sent is at fault, not the store.
      const codes = [
        ...[
          "INVALID_IMAGE",
          "DIFF_ID_MISMATCH",
          "DIGEST_MISMATCH",
          "BAD_ARCHIVE",
          "TRUNCATED_ARCHIVE",
          "BAD_COMPRESSION",
        ],
        ...["UNSUPPORTED_ENTRY", "NEEDS_LOWER_LAYERS"],
      ];
      if (isSlipwayError(error, ...codes)) throw new Refusal(400, "MANIFEST_INVALID", error.message);
      throw error;
    }
  }
}

function readManifest(bytes: Uint8Array, contentType: string): Manifest | Index {
  const invalid = (why: string): Refusal => new Refusal(400, "MANIFEST_INVALID", why);
  let manifest: Manifest | Index;
  try {
    manifest = parseManifest(bytes);
  } catch (error) {
    if (isSlipwayError(error)) throw invalid(error.message);
    throw error;
  }
  const type = manifest.mediaType ?? contentType;
  if (!manifestTypes.includes(type)) throw invalid(`${JSON.stringify(type)} is no media type of a manifest`);
  if (contentType !== "" && contentType !== type) throw invalid(`Content-Type is ${contentType}, the manifest ${type}`);
  const isList = type === mediaTypes.ociIndex || type === mediaTypes.dockerList;
  if (isList !== isIndex(manifest)) throw invalid(`the document is not what ${type} says`);
  return manifest;
}

function distinct(parts: readonly Descriptor[]): Descriptor[] {
  return [...new Map(parts.map((part) => [part.digest, part])).values()];
}
