import { join } from "node:path";
import type { Linux } from "../linux/Linux.ts";
import type { Records } from "./database.ts";
import { moveAside } from "./layers.ts";
import type { CacheMountRecord, CacheMounts, Lease } from "./Store.ts";

interface Row {
  name: string;
  id: string;
  sharing: string;
  created: number;
  used: number;
  disk: number | null;
}

export interface CacheMountsOptions {
  linux: Linux;
  root: string;
  records: Records;
  lease(purpose: string): Lease;
}

/**
 * Directories `<root>/caches/<name>`, each with a record and never without one: a step records its use before it looks for the directory, and
 * who removes takes the record first, and the directory only if nobody has recorded a use meanwhile.
 */
export function createCacheMounts({ linux, root, records, lease: takeLease }: CacheMountsOptions): CacheMounts {
  const path = (name: string) => join(root, "caches", name);
  const isHeld = (name: string) =>
    records.first("SELECT 1 FROM lease_items WHERE digest = ? AND kind = 'cache mount'", name) !== undefined;
  const isRecorded = (name: string) => records.first("SELECT 1 FROM cache_mounts WHERE name = ?", name) !== undefined;

  return {
    path,
    isHeld,
    use({ name, id, sharing }, lease) {
      records.transaction(() => {
        lease.protectCacheMount(name);
        const now = Date.now();
        records.run(
          `INSERT INTO cache_mounts (name, id, sharing, created, used) VALUES (?1, ?2, ?3, ?4, ?4)
           ON CONFLICT (name) DO UPDATE SET id = ?2, sharing = ?3, used = ?4, disk = NULL`,
          name,
          id,
          sharing,
          now,
        );
      });
    },
    list: () =>
      records.all<Row>("SELECT * FROM cache_mounts ORDER BY id, name").map(
        ({ disk, ...row }): CacheMountRecord => ({
          ...row,
          ...(disk === null ? {} : { disk }),
        }),
      ),
    remove: (name) =>
      records.transaction(() => {
        if (isHeld(name) || records.run("DELETE FROM cache_mounts WHERE name = ?", name) === 0) return false;
        const lease = takeLease("remove cache mount");
        records.afterCommit(() => {
          try {
            records.transaction(() => {
              if (!isRecorded(name)) moveAside(linux, path(name), join(lease.directory(), "cache"));
            });
          } finally {
            lease.release();
          }
        });
        return true;
      }),
    setDisk({ name, used }, disk) {
      records.run("UPDATE cache_mounts SET disk = ? WHERE name = ? AND used = ?", disk, name, used);
    },
  };
}
