import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Linux } from "../linux/Linux.ts";
import { AT_FDCWD, O_CLOEXEC, O_CREAT, O_EXCL, O_WRONLY } from "../linux/constants.ts";
import { createHasher, type Digest, digestHex, isDigest, sha256 } from "../oci/digest.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import type { Doubt } from "./doubt.ts";
import type { Blobs } from "./Store.ts";
import { storeFailure } from "./storeFailure.ts";
import { unlinkIfThere } from "./unlinkIfThere.ts";

/**
 * Files `<root>/blobs/sha256/<hex>`. A blob has no record of its own: that the file is there says that it is whole. The lease's protection
 * is recorded before the file is looked for, so that no sweep takes it in between.
 */
export function createBlobs(linux: Linux, root: string, doubt: Pick<Doubt, "begin">): Blobs {
  const folder = join(root, "blobs", "sha256");
  const path = (digest: Digest) => join(folder, digestHex(digest));

  function size(digest: Digest): number | undefined {
    return linux.statatOrUndefined(AT_FDCWD, path(digest))?.size;
  }

  function create(file: string): number {
    doubt.begin();
    return linux.openat(AT_FDCWD, file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600);
  }

  /** Whole against the end of any process; against a loss of power, see doubt.ts. */
  function publish(aside: string, digest: Digest): void {
    linux.renameat2(AT_FDCWD, aside, AT_FDCWD, path(digest));
  }

  return {
    has: (digest) => size(digest) !== undefined,
    path,
    size,
    read(digest) {
      let bytes: Uint8Array;
      try {
        bytes = readFileSync(path(digest));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
        throw new SlipwayError("BLOB_NOT_FOUND", `blob ${digest} is not in the store`);
      }
      if (sha256(bytes) !== digest) {
        throw new SlipwayError("BLOB_CORRUPT", `blob ${digest} in the store is damaged: ${path(digest)}`, {
          hint: "Remove the image and pull it again.",
        });
      }
      return bytes;
    },
    write(bytes, lease) {
      const digest = sha256(bytes);
      lease.protect("blob", digest);
      if (size(digest) !== undefined) return digest;
      try {
        const aside = join(lease.directory(), "blob");
        const fd = create(aside);
        try {
          linux.write(fd, bytes);
          publish(aside, digest);
        } finally {
          linux.close(fd);
        }
      } catch (error) {
        throw storeFailure(root, error);
      }
      return digest;
    },
    async ingest(stream, expected, { lease, onProgress }) {
      lease.protect("blob", expected.digest);
      try {
        const aside = join(lease.directory(), "blob");
        const fd = create(aside);
        try {
          await copyVerified(linux, stream, fd, expected, onProgress);
          publish(aside, expected.digest);
        } catch (error) {
          unlinkIfThere(linux, aside);
          throw error;
        } finally {
          linux.close(fd);
        }
      } catch (error) {
        throw storeFailure(root, error);
      }
    },
    receive(lease) {
      const hasher = createHasher();
      let size = 0;
      let fd: number | undefined;
      const aside = join(lease.directory(), "blob");
      function end(): void {
        if (fd !== undefined) linux.close(fd);
        fd = undefined;
      }
      try {
        fd = create(aside);
      } catch (error) {
        throw storeFailure(root, error);
      }
      return {
        get size() {
          return size;
        },
        write(bytes) {
          if (fd === undefined) throw new Error("the blob is closed");
          try {
            linux.write(fd, bytes);
          } catch (error) {
            throw storeFailure(root, error);
          }
          hasher.update(bytes);
          size += bytes.length;
        },
        finish(expected, holder) {
          end();
          const digest = hasher.digest();
          if (digest !== expected) {
            unlinkIfThere(linux, aside);
            throw new SlipwayError("DIGEST_MISMATCH", `content that should be ${expected} is ${digest}`);
          }
          holder.protect("blob", digest);
          publish(aside, digest);
        },
        abort() {
          if (fd === undefined) return;
          end();
          unlinkIfThere(linux, aside);
        },
      };
    },
    remove: (digest) => unlinkIfThere(linux, path(digest)),
    list() {
      return readdirSync(folder).flatMap((hex) => {
        const digest = `sha256:${hex}`;
        const found = isDigest(digest) ? statSync(join(folder, hex), { throwIfNoEntry: false }) : undefined;
        return found === undefined ? [] : [{ digest: digest as Digest, size: found.size }];
      });
    },
  };
}

/** Leaves the stream cancelled where it does not give what was expected. */
async function copyVerified(
  linux: Linux,
  stream: ReadableStream<Uint8Array>,
  fd: number,
  expected: { digest: Digest; size: number },
  onProgress?: (bytes: number) => void,
): Promise<void> {
  const hasher = createHasher();
  let bytes = 0;
  const sizeMismatch = (found: string) =>
    new SlipwayError("SIZE_MISMATCH", `blob ${expected.digest} has ${found} bytes instead of ${expected.size}`);
  // Leaving the loop by an error cancels the stream.
  for await (const chunk of stream) {
    bytes += chunk.length;
    if (bytes > expected.size) throw sizeMismatch(`more than ${expected.size}`);
    hasher.update(chunk);
    linux.write(fd, chunk);
    onProgress?.(bytes);
  }
  if (bytes !== expected.size) throw sizeMismatch(String(bytes));
  const digest = hasher.digest();
  if (digest !== expected.digest) {
    throw new SlipwayError("DIGEST_MISMATCH", `content that should be ${expected.digest} is ${digest}`);
  }
}
