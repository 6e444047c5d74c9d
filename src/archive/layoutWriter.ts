import { readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { hashed } from "../image/verified.ts";
import type { Linux } from "../linux/Linux.ts";
import { type Descriptor, mediaTypes } from "../oci/descriptor.ts";
import { type Digest, isDigest, sha256 } from "../oci/digest.ts";
import type { Index, Manifest } from "../oci/manifest.ts";
import { isIndex, parseManifest } from "../oci/parseManifest.ts";
import { createDirectorySink } from "./directorySink.ts";
import { blobPath } from "./layoutSink.ts";

/** Writes manifests of any artifact and their blobs into an OCI layout in a directory, as its only writer. */
export interface LayoutWriter {
  has(blob: { digest: Digest; size: number }): boolean;
  /** Whole or not at all. Returns what it came to. */
  put(stream: ReadableStream<Uint8Array>): Promise<{ digest: Digest; size: number }>;
  /** Puts the manifest under the tag, in the place of an earlier one. */
  finish(manifest: Manifest, tag: string): Promise<void>;
  /** Frees the directory for the next writer. Idempotent. */
  close(): void;
}

const TAG = "org.opencontainers.image.ref.name";

/**
 * One writer at a time: another one waits. What the layout holds of other tags stays. Blobs that none of them names any more go when `finish`
 * has written the index, if all of its manifests are of the same artifact type.
 * @throws SlipwayError `INVALID_OUTPUT`
 */
export function createLayoutWriter(linux: Linux, path: string): LayoutWriter {
  const directory = resolve(path);
  const sink = createDirectorySink(linux, path);
  const place = (digest: Digest): string => join(directory, blobPath(digest));

  async function put(stream: ReadableStream<Uint8Array>): Promise<{ digest: Digest; size: number }> {
    let found: { digest: Digest; size: number } | undefined;
    await sink.blob({
      known: undefined,
      stream: async () =>
        hashed(stream, (each) => {
          found = each;
        }),
      described: async () => {
        if (found === undefined) throw new Error("a blob is described before it was read");
        return found;
      },
    });
    return found as unknown as { digest: Digest; size: number };
  }

  function earlier(): Descriptor[] {
    const bytes = sink.earlier("index.json");
    const index = bytes === undefined ? undefined : parseManifest(bytes);
    return index !== undefined && isIndex(index) ? index.manifests : [];
  }

  /** Removes what no manifest of the index names; nothing where one is of another type, which may name what we do not know of. */
  function prune(index: Index, artifactType: string): void {
    const named = new Set<string>();
    for (const { digest } of index.manifests) {
      named.add(digest);
      let manifest: Manifest | Index;
      try {
        manifest = parseManifest(readFileSync(place(digest)));
      } catch {
        return;
      }
      if (isIndex(manifest) || manifest.artifactType !== artifactType) return;
      for (const blob of [manifest.config, ...manifest.layers]) named.add(blob.digest);
    }
    const blobs = join(directory, "blobs", "sha256");
    for (const name of readdirSync(blobs))
      if (!named.has(`sha256:${name}`) && isDigest(`sha256:${name}`)) rmSync(join(blobs, name));
  }

  return {
    has: ({ digest, size }) => statSync(place(digest), { throwIfNoEntry: false })?.size === size,
    put,
    async finish(manifest, tag) {
      const bytes = Buffer.from(JSON.stringify(manifest));
      await put(new Blob([bytes]).stream());
      const { artifactType, mediaType = mediaTypes.ociManifest } = manifest;
      const entry: Descriptor = {
        mediaType,
        digest: sha256(bytes),
        size: bytes.length,
        ...(artifactType === undefined ? {} : { artifactType }),
        annotations: { [TAG]: tag },
      };
      const others = earlier().filter(({ annotations }) => annotations?.[TAG] !== tag);
      const index: Index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [...others, entry] };
      sink.file("oci-layout", Buffer.from('{"imageLayoutVersion":"1.0.0"}'));
      sink.file("index.json", Buffer.from(JSON.stringify(index)));
      if (artifactType !== undefined) prune(index, artifactType);
    },
    close: sink.abort,
  };
}
