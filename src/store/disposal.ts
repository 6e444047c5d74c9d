import type { Digest } from "../oci/digest.ts";
import type { Records } from "./database.ts";
import type { Blobs, Layers } from "./Store.ts";

/** A blob or a layer whose record has gone. */
export interface Freed {
  kind: "blob" | "layer";
  digest: Digest;
}

/**
 * What a record named and names no more goes with the last lease that holds it. Whoever deletes the record takes a lease before and
 * writes down there what it freed; when that lease ends, each of these is removed if nothing uses it, and left to the other leases where only
 * those do. A process that dies in between leaves its lease to the sweep, which does the same.
 */
export function markFreed(records: Records, lease: string, freed: Iterable<Freed>): void {
  for (const { kind, digest } of freed) {
    records.run(
      "INSERT OR IGNORE INTO lease_items (digest, kind, lease) VALUES (?, ?, ?)",
      digest,
      `freed ${kind}`,
      lease,
    );
  }
}

/** Forgets what the cache knows under `key`, and gives the blobs that only this may have named. */
export function forget(records: Records, key: string): Freed[] {
  const blobs = records.all<{ digest: Digest }>("SELECT digest FROM cache_blobs WHERE key = ?", key);
  records.run("DELETE FROM cache WHERE key = ?", key);
  records.run("DELETE FROM cache_layers WHERE key = ?", key);
  records.run("DELETE FROM cache_blobs WHERE key = ?", key);
  return blobs.map(({ digest }) => ({ kind: "blob", digest }));
}

/** Ends what the lease protects, and disposes of what it was told to be freed. Not inside of a transaction that may still fail: files go. */
export function letGo(records: Records, { blobs, layers }: { blobs: Blobs; layers: Layers }, lease: string): void {
  records.transaction(() => {
    const items = records.all<{ digest: Digest; kind: string }>(
      "SELECT digest, kind FROM lease_items WHERE lease = ? AND kind IN ('freed blob', 'freed layer')",
      lease,
    );
    records.run("DELETE FROM lease_items WHERE lease = ?", lease);
    for (const { digest, kind: marked } of items) {
      const kind = marked === "freed blob" ? "blob" : "layer";
      if (kind === "blob" ? isBlobNamed(records, digest) : isLayerNamed(records, digest)) continue;
      const others = holders(records, { kind, digest });
      for (const other of others) markFreed(records, other, [{ kind, digest }]);
      if (others.length > 0) continue;
      // A blob that no record names may go before this is committed.
      if (kind === "blob") blobs.remove(digest);
      else layers.remove(digest);
    }
  });
}

/** Whether a record names the blob, or a lease protects it. */
export function isBlobUsed(records: Records, digest: Digest): boolean {
  return isBlobNamed(records, digest) || holders(records, { kind: "blob", digest }).length > 0;
}

/** Whether an image, a container or the build cache has the layer, or a lease protects it. */
export function isLayerUsed(records: Records, digest: Digest): boolean {
  return isLayerNamed(records, digest) || holders(records, { kind: "layer", digest }).length > 0;
}

export function isLayerNamed(records: Records, digest: Digest): boolean {
  const sql = `SELECT 1 FROM image_layers WHERE diff_id = ?1 UNION ALL SELECT 1 FROM container_layers WHERE diff_id = ?1
    UNION ALL SELECT 1 FROM cache_layers WHERE diff_id = ?1 LIMIT 1`;
  return records.first(sql, digest) !== undefined;
}

export function isBlobNamed(records: Records, digest: Digest): boolean {
  const sql = `SELECT 1 FROM images WHERE id = ?1 UNION ALL SELECT 1 FROM images WHERE manifest = ?1
    UNION ALL SELECT 1 FROM layer_blobs WHERE digest = ?1 UNION ALL SELECT 1 FROM repo_digests WHERE digest = ?1
    UNION ALL SELECT 1 FROM tags WHERE repo_digest = ?1 OR source = ?1 UNION ALL SELECT 1 FROM cache_blobs WHERE digest = ?1
    UNION ALL SELECT 1 FROM manifests WHERE digest = ?1 UNION ALL SELECT 1 FROM manifest_blobs WHERE blob = ?1 LIMIT 1`;
  return records.first(sql, digest) !== undefined;
}

/** All that `isBlobUsed` says yes to. */
export function usedBlobs(records: Records): Set<Digest> {
  const sql = `SELECT id AS digest FROM images UNION ALL SELECT manifest FROM images WHERE manifest IS NOT NULL
    UNION ALL SELECT digest FROM layer_blobs UNION ALL SELECT digest FROM repo_digests
    UNION ALL SELECT repo_digest FROM tags WHERE repo_digest IS NOT NULL
    UNION ALL SELECT source FROM tags WHERE source IS NOT NULL UNION ALL SELECT digest FROM cache_blobs
    UNION ALL SELECT digest FROM manifests UNION ALL SELECT blob FROM manifest_blobs
    UNION ALL SELECT digest FROM lease_items WHERE kind IN ('blob', 'image')`;
  return new Set(records.all<{ digest: Digest }>(sql).map(({ digest }) => digest));
}

/** The leases that protect it. A protected image is its config's blob. */
export function holders(records: Records, { kind, digest }: Freed): string[] {
  const sql = "SELECT DISTINCT lease FROM lease_items WHERE digest = ? AND kind IN (?, ?)";
  return records.all<{ lease: string }>(sql, digest, kind, kind === "blob" ? "image" : kind).map(({ lease }) => lease);
}
