import type { Digest } from "../oci/digest.ts";
import type { Records } from "./database.ts";
import type { CacheRecords } from "./Store.ts";

/** The time of the last use is kept to the hour: a build with nothing to do then writes nothing. */
const USED_GRAIN_MS = 3_600_000;

/** A record goes with the first of its layers that goes. */
export function createCacheRecords(records: Records): CacheRecords {
  return {
    get(key) {
      const row = records.first<{ value: string; created: number; used: number }>(
        "SELECT value, created, used FROM cache WHERE key = ?",
        key,
      );
      if (row === undefined) return undefined;
      const now = Date.now();
      if (now - row.used > USED_GRAIN_MS) records.run("UPDATE cache SET used = ? WHERE key = ?", now, key);
      return { value: row.value, created: row.created };
    },
    put(key, value, layers: Digest[]) {
      records.transaction(() => {
        const now = Date.now();
        records.run(
          "INSERT OR REPLACE INTO cache (key, value, created, used) VALUES (?, ?, ?, ?)",
          key,
          value,
          now,
          now,
        );
        records.run("DELETE FROM cache_layers WHERE key = ?", key);
        for (const layer of layers) {
          records.run("INSERT OR IGNORE INTO cache_layers (diff_id, key) VALUES (?, ?)", layer, key);
        }
      });
    },
    nearest: (group, limit) =>
      records.all<{ key: string; value: string; created: number }>(
        "SELECT key, value, created FROM cache_groups WHERE name = ? ORDER BY n DESC LIMIT ?",
        group,
        limit,
      ),
    putInGroup(group, key, value) {
      // A replaced row gets a new number: the latest comes first.
      records.run(
        "INSERT OR REPLACE INTO cache_groups (name, key, value, created) VALUES (?, ?, ?, ?)",
        group,
        key,
        value,
        Date.now(),
      );
    },
  };
}
