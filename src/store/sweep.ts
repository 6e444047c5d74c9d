import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { Linux } from "../linux/Linux.ts";
import type { Records } from "./database.ts";
import { isBlobUsed } from "./disposal.ts";
import { moveAside } from "./layers.ts";
import { processIdentity, readBootId } from "./leases.ts";
import { removeTree } from "./removeTree.ts";
import type { Blobs, Lease } from "./Store.ts";

export interface SweepOptions {
  linux: Linux;
  root: string;
  records: Records;
  blobs: Blobs;
  lease(purpose: string): Lease;
  letGo(lease: string): void;
}

/**
 * Removes what killed processes left. Only where one is found (a lease whose process is gone, a temporary path that no lease knows) are
 * layers and blobs held against the records, too: who makes them holds a lease, so nothing else can have left any half-made.
 */
export function sweep(options: SweepOptions): void {
  const { linux, root, records, letGo } = options;
  // Listed before the leases are asked for: a lease is recorded before its paths are made.
  const paths = readdirSync(join(root, "tmp"));
  const containers = readdirSync(join(root, "containers"));
  const leases = records.all<{ id: string; pid: number; start: string }>("SELECT id, pid, start FROM leases");
  const known = new Set(leases.map(({ id }) => id));
  const dead = leases.length === 0 ? [] : deadLeases(leases);
  const stray = paths.filter((path) => !known.has(path));
  if (dead.length > 0 || stray.length > 0) {
    for (const { id } of dead) letGo(id);
    removeUnrecorded(options);
  }
  for (const path of stray) removeTree(linux, join(root, "tmp", path));
  for (const { id } of dead) {
    removeTree(linux, join(root, "tmp", id));
    records.run("DELETE FROM leases WHERE id = ?", id);
  }
  if (containers.length > 0) removeHalfMadeContainers(options, containers);
}

function deadLeases<Row extends { pid: number; start: string }>(leases: Row[]): Row[] {
  const bootId = readBootId();
  const starts = new Map<number, string | undefined>();
  return leases.filter(({ pid, start }) => {
    if (!starts.has(pid)) starts.set(pid, processIdentity(pid, bootId)?.start);
    return starts.get(pid) !== start;
  });
}

function removeUnrecorded({ linux, root, records, blobs, lease: takeLease }: SweepOptions): void {
  const lease = takeLease("sweep");
  try {
    // Under the write lock, which `adopt` holds from its rename to its record, and `protect` before a blob is looked for.
    records.transaction(() => {
      for (const hex of readdirSync(join(root, "layers"))) {
        if (records.first("SELECT 1 FROM layers WHERE diff_id = ?", `sha256:${hex}`) !== undefined) continue;
        moveAside(linux, join(root, "layers", hex), join(lease.directory(), "layer"));
      }
      for (const name of readdirSync(join(root, "caches"))) {
        if (records.first("SELECT 1 FROM cache_mounts WHERE name = ?", name) !== undefined) continue;
        moveAside(linux, join(root, "caches", name), join(lease.directory(), "cache"));
      }
      for (const { digest } of blobs.list()) if (!isBlobUsed(records, digest)) blobs.remove(digest);
    });
  } finally {
    lease.release();
  }
}

function removeHalfMadeContainers({ linux, root, records }: SweepOptions, ids: string[]): void {
  const known = new Set(records.all<{ id: string }>("SELECT id FROM containers").map(({ id }) => id));
  const doubtful = ids.filter((id) => !known.has(id));
  if (doubtful.length === 0) return;
  // Under the write lock nobody is between making the directory and its record.
  const gone = records.transaction(() =>
    doubtful.filter((id) => records.first("SELECT 1 FROM containers WHERE id = ?", id) === undefined),
  );
  for (const id of gone) removeTree(linux, join(root, "containers", id));
}
