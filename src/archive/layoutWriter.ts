import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { AT_FDCWD, LOCK_EX, O_CREAT, O_DIRECTORY, O_EXCL, O_RDONLY, O_WRONLY } from "../linux/constants.ts";
import type { Linux } from "../linux/Linux.ts";
import { type Descriptor, mediaTypes } from "../oci/descriptor.ts";
import { createHasher, type Digest, digestHex, isDigest, sha256 } from "../oci/digest.ts";
import type { Index, Manifest } from "../oci/manifest.ts";
import { isIndex, parseManifest } from "../oci/parseManifest.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";

/** Writes manifests and their blobs into an OCI layout in a directory. */
export interface LayoutWriter {
  has(blob: { digest: Digest; size: number }): boolean;
  /** Whole or not at all. Returns what it came to. */
  put(stream: ReadableStream<Uint8Array>): Promise<{ digest: Digest; size: number }>;
  /** Puts the manifest under the tag, in the place of an earlier one. */
  finish(manifest: Manifest, tag: string): void;
  /** Frees the directory for the next writer. Idempotent. */
  close(): void;
}

const TAG = "org.opencontainers.image.ref.name";

/**
 * One writer at a time: another one waits. What the layout holds of other tags stays; blobs that none of them names any more go when `finish` has
 * written the index, if all of its manifests are of the same artifact type.
 * @throws SlipwayError `INVALID_LAYOUT`
 */
export function createLayoutWriter(linux: Linux, path: string): LayoutWriter {
  const directory = resolve(path);
  const blobs = join(directory, "blobs", "sha256");
  if (existsSync(directory) && !existsSync(join(directory, "oci-layout")) && readdirSync(directory).length > 0) {
    throw new SlipwayError("INVALID_LAYOUT", `${path} holds other files and no OCI layout`, {
      hint: "Name an empty directory, or one that is not there.",
    });
  }
  mkdirSync(blobs, { recursive: true });
  const lock = linux.openat(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY);
  linux.flock(lock, LOCK_EX);
  // Left by a writer that was killed: there is none beside us.
  for (const name of readdirSync(join(directory, "blobs")))
    if (name.startsWith("new-")) rmSync(join(directory, "blobs", name));
  let open = true;
  const place = (digest: Digest): string => join(blobs, digestHex(digest));
  const aside = join(directory, "blobs", `new-${process.pid}-`);
  let count = 0;

  function small(bytes: Uint8Array): { digest: Digest; size: number } {
    const digest = sha256(bytes);
    replace(place(digest), bytes);
    return { digest, size: bytes.length };
  }

  function replace(file: string, bytes: Uint8Array): void {
    const temporary = `${aside}${count++}`;
    writeFileSync(temporary, bytes);
    renameSync(temporary, file);
  }

  function earlier(): Descriptor[] {
    const file = join(directory, "index.json");
    if (!existsSync(file)) return [];
    const index = parseManifest(readFileSync(file));
    return isIndex(index) ? index.manifests : [];
  }

  /** Removes what no manifest of the index names; nothing where there is one of another type, which may name what we do not know of. */
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
    for (const name of readdirSync(blobs))
      if (!named.has(`sha256:${name}`) && isDigest(`sha256:${name}`)) rmSync(join(blobs, name));
  }

  return {
    has: ({ digest, size }) => statSync(place(digest), { throwIfNoEntry: false })?.size === size,
    async put(stream) {
      const temporary = `${aside}${count++}`;
      const hasher = createHasher();
      let size = 0;
      const fd = linux.openat(AT_FDCWD, temporary, O_WRONLY | O_CREAT | O_EXCL, 0o644);
      try {
        try {
          for await (const chunk of stream) {
            hasher.update(chunk);
            linux.write(fd, chunk);
            size += chunk.length;
          }
        } finally {
          linux.close(fd);
        }
        const digest = hasher.digest();
        renameSync(temporary, place(digest));
        return { digest, size };
      } catch (error) {
        rmSync(temporary, { force: true });
        throw error;
      }
    },
    finish(manifest, tag) {
      const mediaType = manifest.mediaType ?? mediaTypes.ociManifest;
      const described = small(Buffer.from(JSON.stringify(manifest)));
      const { artifactType } = manifest;
      const entry: Descriptor = {
        mediaType,
        ...described,
        ...(artifactType === undefined ? {} : { artifactType }),
        annotations: { [TAG]: tag },
      };
      const others = earlier().filter(({ annotations }) => annotations?.[TAG] !== tag);
      const index: Index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [...others, entry] };
      replace(join(directory, "oci-layout"), Buffer.from('{"imageLayoutVersion":"1.0.0"}'));
      replace(join(directory, "index.json"), Buffer.from(JSON.stringify(index)));
      if (artifactType !== undefined) prune(index, artifactType);
    },
    close() {
      if (open) linux.close(lock);
      open = false;
    },
  };
}
