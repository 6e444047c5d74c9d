import type { Records } from "./database.ts";
import type { CacheRecords } from "./Store.ts";

/** The time of the last use is kept to the minute: a build that follows another writes nothing. */
const USED_GRAIN_MS = 60_000;

/** A record goes with the first of its layers that goes. */
export function createCacheRecords(records: Records): CacheRecords {
  /** Keys whose use is still to be written. */
  const used = new Set<string>();

  return {
    get(key) {
      const row = records.first<{ value: string; created: number; used: number }>(
        "SELECT value, created, used FROM cache WHERE key = ?",
        key,
      );
      if (row === undefined) return undefined;
      if (Date.now() - row.used > USED_GRAIN_MS) used.add(key);
      return { value: row.value, created: row.created };
    },
    put(key, value, layers, blobs = []) {
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
        records.run("DELETE FROM cache_blobs WHERE key = ?", key);
        for (const layer of layers) {
          records.run("INSERT OR IGNORE INTO cache_layers (diff_id, key) VALUES (?, ?)", layer, key);
        }
        for (const blob of blobs) {
          records.run("INSERT OR IGNORE INTO cache_blobs (digest, key) VALUES (?, ?)", blob, key);
        }
      });
    },
    recordUses() {
      if (used.size === 0) return;
      records.run(
        "UPDATE cache SET used = ? WHERE key IN (SELECT value FROM json_each(?))",
        Date.now(),
        JSON.stringify([...used]),
      );
      used.clear();
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
