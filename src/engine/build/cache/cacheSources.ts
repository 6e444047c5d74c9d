import { resolve } from "node:path";
import { openDirectoryFiles } from "../../../archive/directoryFiles.ts";
import { readOciLayout } from "../../../archive/ociLayout.ts";
import { formatFullPlatform, type Platform } from "../../../oci/platform.ts";
import { sha256 } from "../../../oci/digest.ts";
import { parseReference } from "../../../oci/reference.ts";
import { SlipwayError } from "../../../oci/SlipwayError.ts";
import { CACHE_CONFIG, INLINE_CACHE, MAX_CACHE_CONFIG, parseCacheConfig } from "../../../solve/cacheFormat.ts";
import type { CacheSource, LoadedCache } from "../../../solve/importCache.ts";
import type { Engine } from "../../Engine.ts";
import { openRegistry } from "../../images/openRegistry.ts";
import type { ImageSource } from "../../images/fetchBlob.ts";
import { chosenManifest } from "../../images/resolveRemote.ts";
import type { CacheImport } from "./CacheSpec.ts";

/** Where `--cache-from` leads. Nothing is opened yet. */
export function cacheSource(engine: Engine, spec: CacheImport, platform: Platform): CacheSource {
  if (spec.type === "local") {
    return {
      name: `local:${spec.src}`,
      load: async () => {
        const layout = await readOciLayout(openDirectoryFiles(engine.store.linux, resolve(spec.src)));
        return loadCache(layout, { path: "", canonical: spec.src }, spec.digest ?? spec.tag, platform);
      },
    };
  }
  const reference = parseReference(spec.ref);
  return {
    name: reference.canonical,
    load: () =>
      loadCache(
        openRegistry(engine, reference.domain),
        reference,
        reference.digest ?? reference.tag ?? "latest",
        platform,
      ),
  };
}

/**
 * The cache that a manifest is, or that stands in an image's config.
 * @throws SlipwayError `INVALID_CACHE`, `DIGEST_MISMATCH` and those of the source
 */
async function loadCache(
  source: ImageSource,
  reference: { path: string; canonical: string },
  wanted: string,
  platform: Platform,
): Promise<LoadedCache> {
  const top = await source.manifest(reference.path, wanted);
  const { manifest } = await chosenManifest(source, reference, top, { platform: formatFullPlatform(platform) });
  const { config: described, layers: blobs } = manifest;
  if (described.size > MAX_CACHE_CONFIG)
    throw new SlipwayError("INVALID_CACHE", `the config of ${reference.canonical} has ${described.size} bytes`);
  const bytes = await readBounded(await source.blob(reference.path, described), described.size);
  if (sha256(bytes) !== described.digest)
    throw new SlipwayError("DIGEST_MISMATCH", `content that should be ${described.digest} is ${sha256(bytes)}`);
  const open: LoadedCache["open"] = (blob) => source.blob(reference.path, blob);
  if (described.mediaType === CACHE_CONFIG) return { config: parseCacheConfig(bytes, blobs.length), blobs, open };
  const inline = (JSON.parse(Buffer.from(bytes).toString("utf8")) as Record<string, unknown> | null)?.[INLINE_CACHE];
  if (inline === undefined)
    throw new SlipwayError("INVALID_CACHE", `${reference.canonical} is an image without a build cache`, {
      hint: "It gets one by --cache-to type=inline.",
    });
  return { config: parseCacheConfig(Buffer.from(JSON.stringify(inline)), blobs.length), blobs, open };
}

async function readBounded(stream: ReadableStream<Uint8Array>, size: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of stream) {
    length += part.length;
    if (length > size) throw new SlipwayError("SIZE_MISMATCH", `more than the ${size} bytes of the descriptor`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}
