import { statfsSync } from "node:fs";
import { join } from "node:path";
import type { Digest } from "../oci/digest.ts";
import { type CacheEntry, type CacheEntriesOptions, fileKinds, layerUsage, listCacheEntries } from "./cacheEntries.ts";
import type { Records } from "./database.ts";
import { forget, isBlobUsed, markFreed } from "./disposal.ts";
import { unlinkIfThere } from "./unlinkIfThere.ts";
import type { Lease } from "./Store.ts";

export type { CacheEntry } from "./cacheEntries.ts";

/** In bytes, and BuildKit's sense: see `spaceToKeep`. */
export interface Limits {
  /** The cache is no larger than this. */
  maxUsedSpace?: number;
  /** So much of the cache stays in any case. */
  reservedSpace?: number;
  /** So much of the file system is free, as far as the cache can help it. */
  minFreeSpace?: number;
}

export interface CollectOptions {
  /** Without any limit, all that may go goes. */
  limits?: Limits;
  /** Forgets also which steps gave the layers that images and containers have; those layers stay, as theirs. */
  all?: boolean;
  /** Only what `matches` says yes to. */
  matches?(entry: CacheEntry): boolean;
}

export interface Collected {
  removed: CacheEntry[];
  /** Bytes on the disk. */
  freed: number;
}

export interface Collector {
  /** All of the build cache, least recently used first. Measures what has not been measured yet. */
  entries(): CacheEntry[];
  /** Bytes on the disk of each layer of the store, without compressed forms. */
  layerSizes(): Map<Digest, number>;
  /**
   * Takes what was used longest ago, until the limits hold. Nothing that a lease holds goes, nor the layers of images and containers.
   * One collector works at a time, others wait. What a killed one leaves half removed is in no record any more, and swept.
   */
  collect(options?: CollectOptions): Promise<Collected>;
}

export interface CollectorOptions extends CacheEntriesOptions {
  lease(purpose: string): Lease;
  locked<T>(key: string, work: () => Promise<T>): Promise<T>;
}

/** So many earlier runs of a step are kept to explain a miss by. */
const EXPLANATIONS = 16;
/** The time that explanations of misses are kept for steps which the cache does not have any more. */
const EXPLANATIONS_MS = 30 * 24 * 3_600_000;

export function createCollector(options: CollectorOptions): Collector {
  const { root, linux, records, layers, cacheMounts, blobs, lease: takeLease, locked } = options;

  /** False where it is in use by now. */
  function remove(entry: CacheEntry): boolean {
    if (entry.kind === "context" || entry.kind === "list") {
      unlinkIfThere(linux, join(root, fileKinds[entry.kind], entry.id));
      return true;
    }
    if (entry.kind === "mount") return cacheMounts.remove(entry.id);
    if (entry.kind === "layer") return removeLayer(entry.id as Digest);
    if (entry.key === undefined) return removeStray(entry.id as Digest);
    return forgetAll(entry.id as Digest, "blob", [entry.key]);
  }

  function removeLayer(diffID: Digest): boolean {
    return records.transaction(() => {
      if (isHeld(records, "layer", diffID)) return false;
      if (isOfImageOrContainer(records, diffID)) {
        const keys = records.all<{ key: string }>("SELECT key FROM cache_layers WHERE diff_id = ?", diffID);
        return forgetAll(
          diffID,
          "layer",
          keys.map(({ key }) => key),
        );
      }
      layers.remove(diffID);
      return true;
    });
  }

  function removeStray(digest: Digest): boolean {
    return records.transaction(() => {
      if (isBlobUsed(records, digest)) return false;
      blobs.remove(digest);
      return true;
    });
  }

  function forgetAll(digest: Digest, kind: "blob" | "layer", keys: string[]): boolean {
    return records.transaction(() => {
      if (isHeld(records, kind, digest)) return false;
      const lease = takeLease("collect");
      for (const key of keys) markFreed(records, lease.id, forget(records, key));
      lease.release();
      return true;
    });
  }

  function forgetExplanations(all: boolean): void {
    records.run(
      `DELETE FROM cache_groups WHERE (created < ? AND key NOT IN (SELECT key FROM cache)) OR n IN
         (SELECT n FROM (SELECT n, row_number() OVER (PARTITION BY name ORDER BY n DESC) AS nth FROM cache_groups) WHERE nth > ?)`,
      all ? Date.now() : Date.now() - EXPLANATIONS_MS,
      EXPLANATIONS,
    );
  }

  const entries = (): CacheEntry[] => listCacheEntries(options, { values: true });

  return {
    entries,
    layerSizes() {
      const rows = records.all<{ diff_id: Digest; disk: number | null }>("SELECT diff_id, disk FROM layers");
      return new Map(rows.map(({ diff_id, disk }) => [diff_id, layerUsage(options, diff_id, disk)]));
    },
    collect: ({ limits = {}, all = false, matches } = {}) =>
      locked("collect", async () => {
        const found = listCacheEntries(options, { values: matches !== undefined });
        let size = sizeOf(found);
        const { bavail, bsize } = statfsSync(root);
        const keep = spaceToKeep(limits, { size, free: bavail * bsize });
        const removed: CacheEntry[] = [];
        let freed = 0;
        for (const entry of found) {
          if (entry.inUse || (entry.shared && !all) || matches?.(entry) === false) continue;
          if (keep > 0 && size <= keep) break;
          if (!remove(entry)) continue;
          removed.push(entry);
          if (entry.shared) continue;
          size -= entry.size;
          freed += entry.size;
        }
        if (removed.length > 0 || keep === 0) forgetExplanations(all && keep === 0);
        return { removed, freed };
      }),
  };
}

/** What counts towards the limits: the cache beyond images and containers. */
export function sizeOf(entries: readonly CacheEntry[]): number {
  return entries.reduce((sum, entry) => sum + (entry.shared ? 0 : entry.size), 0);
}

/**
 * Bytes of the cache that may stay, as BuildKit reckons: `maxUsedSpace`, or less where that much does not leave `minFreeSpace`, but never less
 * than `reservedSpace`. 0 where no limit is given.
 */
export function spaceToKeep(limits: Limits, now: { size: number; free: number }): number {
  const { maxUsedSpace, reservedSpace = 0, minFreeSpace } = limits;
  if (maxUsedSpace === undefined && minFreeSpace === undefined) return reservedSpace;
  let keep = maxUsedSpace ?? now.size;
  if (minFreeSpace !== undefined && now.free < minFreeSpace)
    keep = Math.min(keep, now.size - (minFreeSpace - now.free));
  return Math.max(keep, reservedSpace, 0);
}

function isHeld(records: Records, kind: "blob" | "layer", digest: Digest): boolean {
  return records.first("SELECT 1 FROM lease_items WHERE digest = ? AND kind = ?", digest, kind) !== undefined;
}

function isOfImageOrContainer(records: Records, diffID: Digest): boolean {
  const sql = `SELECT 1 FROM image_layers WHERE diff_id = ?1
    UNION ALL SELECT 1 FROM container_layers WHERE diff_id = ?1 LIMIT 1`;
  return records.first(sql, diffID) !== undefined;
}
