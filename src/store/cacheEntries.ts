import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Linux } from "../linux/Linux.ts";
import { type Digest, digestHex } from "../oci/digest.ts";
import type { Records } from "./database.ts";
import { diskUsage, ownUsage } from "./diskUsage.ts";
import { usedBlobs } from "./disposal.ts";
import type { Blobs, CacheMounts, Layers } from "./Store.ts";

/** One thing that the build cache has. */
export interface CacheEntry {
  /**
   * What a step wrote; a cache mount; what ADD fetched, or was left by a pull; what is known of a build context's files; what a step's files
   * were, to explain a miss.
   */
  kind: "layer" | "mount" | "download" | "context" | "list";
  /** diffID, name of the directory, blob's digest, name of the file. */
  id: string;
  /** Of the record that names it, where it is a single one. */
  key?: string;
  /** What the solver keeps with it, or the id of a cache mount. */
  value?: string;
  /** Bytes on the disk, with compressed forms. */
  size: number;
  created: number;
  used: number;
  /** An image or a container has it: its bytes are counted there. */
  shared: boolean;
  /** A running build, or another command at work, holds it. */
  inUse: boolean;
}

export interface CacheEntriesOptions {
  linux: Linux;
  root: string;
  records: Records;
  blobs: Blobs;
  layers: Layers;
  cacheMounts: CacheMounts;
}

/** `values`: with what the solver keeps, which takes longest to read. Least recently used first; of those used at the same time, what was made later, as it stands on what was made before. */
export function listCacheEntries(options: CacheEntriesOptions, { values }: { values: boolean }): CacheEntry[] {
  const here = new Set(namesIn(join(options.root, "blobs/sha256")).map((hex): Digest => `sha256:${hex}`));
  const all = [
    ...layerEntries(options, here, values),
    ...mountEntries(options),
    ...blobEntries(options, here),
    ...fileEntries(options, "context"),
    ...fileEntries(options, "list"),
  ];
  return all.sort((a, b) => a.used - b.used || b.created - a.created);
}

interface LayerRow {
  diff_id: Digest;
  disk: number | null;
  created: number;
  used: number | null;
  shared: number;
  held: number;
  value: string | null;
}

/** Of a step: what else is kept has a prefix in its key. */
const LATEST_VALUE = `(SELECT value FROM cache_layers JOIN cache USING (key)
  WHERE cache_layers.diff_id = layers.diff_id AND instr(key, ':') = 0 ORDER BY used DESC LIMIT 1)`;

/** Of an image or a container: only those that a step of the cache gave. Without either: also what nothing names. */
function layerEntries(options: CacheEntriesOptions, here: ReadonlySet<Digest>, values: boolean): CacheEntry[] {
  const { records } = options;
  const rows = records.all<LayerRow>(`
    SELECT diff_id, disk, created,
      (SELECT max(used) FROM cache_layers JOIN cache USING (key) WHERE cache_layers.diff_id = layers.diff_id) AS used,
      EXISTS (SELECT 1 FROM image_layers WHERE image_layers.diff_id = layers.diff_id)
        OR EXISTS (SELECT 1 FROM container_layers WHERE container_layers.diff_id = layers.diff_id) AS shared,
      EXISTS (SELECT 1 FROM lease_items WHERE digest = layers.diff_id AND kind = 'layer') AS held,
      ${values ? LATEST_VALUE : "NULL"} AS value
    FROM layers ORDER BY n`);
  const forms = formsUsage(options, here);
  return rows
    .filter(({ used, shared }) => used !== null || !shared)
    .map(
      (row): CacheEntry => ({
        kind: "layer",
        id: row.diff_id,
        size: layerUsage(options, row.diff_id, row.disk) + (forms.get(row.diff_id) ?? 0),
        created: row.created,
        used: Math.max(row.used ?? 0, row.created),
        shared: row.shared === 1,
        inUse: row.held === 1,
        ...(row.value === null ? {} : { value: row.value }),
      }),
    );
}

/** Measured once: a layer does not change. */
export function layerUsage(
  { linux, root, records }: CacheEntriesOptions,
  diffID: Digest,
  known: number | null,
): number {
  if (known !== null) return known;
  const disk = diskUsage(linux, join(root, "layers", digestHex(diffID)));
  records.run("UPDATE layers SET disk = ? WHERE diff_id = ?", disk, diffID);
  return disk;
}

/** Of the compressed forms of each layer; one that several have counts with the first. */
function formsUsage({ linux, records, blobs }: CacheEntriesOptions, here: ReadonlySet<Digest>): Map<Digest, number> {
  const usage = new Map<Digest, number>();
  const seen = new Set<Digest>();
  for (const { diff_id, digest } of records.all<{ diff_id: Digest; digest: Digest }>(`
    SELECT diff_id, digest FROM layer_blobs WHERE diff_id NOT IN (SELECT diff_id FROM image_layers)
      AND diff_id NOT IN (SELECT diff_id FROM container_layers)`)) {
    if (seen.has(digest) || !here.has(digest)) continue;
    seen.add(digest);
    usage.set(diff_id, (usage.get(diff_id) ?? 0) + ownUsage(linux, blobs.path(digest)));
  }
  return usage;
}

function mountEntries({ linux, cacheMounts }: CacheEntriesOptions): CacheEntry[] {
  return cacheMounts.list().map((record): CacheEntry => {
    const inUse = cacheMounts.isHeld(record.name);
    let { disk } = record;
    if (disk === undefined) {
      disk = diskUsage(linux, cacheMounts.path(record.name));
      if (!inUse) cacheMounts.setDisk(record, disk);
    }
    const { name, id, created, used } = record;
    return { kind: "mount", id: name, value: id, size: disk, created, used, shared: false, inUse };
  });
}

interface BlobRow {
  key: string;
  digest: Digest;
  created: number;
  used: number;
  held: number;
}

/** Those that a record of the cache names, and those that nothing does: what a pull fetched that came to no end. */
function blobEntries({ linux, records, blobs }: CacheEntriesOptions, here: ReadonlySet<Digest>): CacheEntry[] {
  const rows = records.all<BlobRow>(`
    SELECT key, digest, created, used,
      EXISTS (SELECT 1 FROM lease_items WHERE digest = cache_blobs.digest AND kind = 'blob') AS held
    FROM cache_blobs JOIN cache USING (key) ORDER BY created`);
  const seen = new Set<Digest>();
  const entries = rows.map((row): CacheEntry => {
    const size = seen.has(row.digest) ? 0 : ownUsage(linux, blobs.path(row.digest));
    seen.add(row.digest);
    const { key, digest, created, used } = row;
    return { kind: "download", id: digest, key, value: key, size, created, used, shared: false, inUse: row.held === 1 };
  });
  const used = usedBlobs(records);
  for (const digest of here) {
    if (used.has(digest)) continue;
    const path = blobs.path(digest);
    const created = statSync(path, { throwIfNoEntry: false })?.mtimeMs;
    if (created === undefined) continue;
    const size = ownUsage(linux, path);
    entries.push({ kind: "download", id: digest, size, created, used: created, shared: false, inUse: false });
  }
  return entries;
}

/** Where each of them is a file, which a build touches when it uses it, reads whole, and writes anew where it is gone. */
export const fileKinds = { context: "contexts", list: "trees" } as const;

/** Nothing is written for so long. */
const ASIDE_MS = 3_600_000;

function fileEntries({ linux, root }: CacheEntriesOptions, kind: keyof typeof fileKinds): CacheEntry[] {
  const directory = join(root, fileKinds[kind]);
  return namesIn(directory).flatMap((name): CacheEntry[] => {
    const path = join(directory, name);
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined) return [];
    const [created, used] = [stat.birthtimeMs, stat.mtimeMs];
    // Being written aside, unless its process was killed.
    if (name.includes(".") && Date.now() - used < ASIDE_MS) return [];
    return [{ kind, id: name, size: ownUsage(linux, path), created, used, shared: false, inUse: false }];
  });
}

export function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
