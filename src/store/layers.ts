import { existsSync, mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import type { Linux } from "../linux/Linux.ts";
import { AT_FDCWD } from "../linux/constants.ts";
import { isErrno } from "../linux/LinuxError.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import { type Digest, digestHex } from "../oci/digest.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import type { Records } from "./database.ts";
import { forget, markFreed } from "./disposal.ts";
import type { Doubt } from "./doubt.ts";
import type { Blobs, LayerRecord, Layers, Lease } from "./Store.ts";
import { storeFailure } from "./storeFailure.ts";
import { readBootId } from "./leases.ts";
import { unlinkIfThere } from "./unlinkIfThere.ts";

interface LayerRow {
  n: number;
  diff_id: Digest;
  tar_size: number;
  size: number;
  implied_dirs: string;
  created: number;
}

interface BlobRow {
  digest: Digest;
  media_type: string;
  size: number;
}

/** The kernel begins to write back what is older than 30 s, and looks every 5 s (vm.dirty_expire_centisecs, dirty_writeback_centisecs). */
const WRITEBACK_MS = 40_000;

export interface LayersOptions {
  linux: Linux;
  root: string;
  records: Records;
  blobs: Blobs;
  doubt: Doubt;
  lease(purpose: string): Lease;
}

/**
 * `<root>/layers/<hex>/fs`, each with a record. The directory is renamed to its place inside of the transaction that records it: a process
 * that dies in between leaves a directory without a record, which `adopt` and the sweep know to be worthless.
 */
export function createLayers({ linux, root, records, blobs, doubt, lease: takeLease }: LayersOptions): Layers {
  const place = (diffID: Digest) => join(root, "layers", digestHex(diffID));

  function toRecord(row: LayerRow): LayerRecord {
    return {
      diffID: row.diff_id,
      path: join(place(row.diff_id), "fs"),
      tarSize: row.tar_size,
      size: row.size,
      impliedDirs: JSON.parse(row.implied_dirs),
      created: row.created,
    };
  }

  function get(diffID: Digest): LayerRecord | undefined {
    const row = records.first<LayerRow>("SELECT * FROM layers WHERE diff_id = ?", diffID);
    return row === undefined ? undefined : toRecord(row);
  }

  function require(diffID: Digest): LayerRecord {
    const found = get(diffID);
    if (found === undefined) throw new SlipwayError("LAYER_NOT_FOUND", `layer ${diffID} is not in the store`);
    return found;
  }

  function markSettled(diffIDs: readonly Digest[]): void {
    records.transaction(() => {
      for (const diffID of diffIDs) records.run("UPDATE layers SET unsynced_boot = NULL WHERE diff_id = ?", diffID);
    });
  }

  return {
    get,
    require,
    adopt(directory, layer, lease) {
      lease.protect("layer", layer.diffID);
      const known = get(layer.diffID);
      if (known !== undefined) return known;
      try {
        return records.transaction(() => {
          // Another process may have been quicker.
          const twin = get(layer.diffID);
          if (twin !== undefined) return twin;
          const own = place(layer.diffID);
          try {
            mkdirSync(own, { mode: 0o700 });
          } catch (error) {
            if (!isErrno(error, "EEXIST")) throw error;
            // Left by a process that died between the rename and the record.
            if (existsSync(join(own, "fs")))
              linux.renameat2(AT_FDCWD, join(own, "fs"), AT_FDCWD, join(lease.directory(), "fs"));
          }
          linux.renameat2(AT_FDCWD, directory, AT_FDCWD, join(own, "fs"));
          records.run(
            "INSERT INTO layers (diff_id, tar_size, size, implied_dirs, created, unsynced_boot) VALUES (?, ?, ?, ?, ?, ?)",
            layer.diffID,
            layer.tarSize,
            layer.size,
            JSON.stringify(layer.impliedDirs),
            Date.now(),
            readBootId(),
          );
          return require(layer.diffID);
        });
      } catch (error) {
        throw storeFailure(root, error);
      }
    },
    blobs(diffID) {
      const rows = records.all<BlobRow>("SELECT digest, media_type, size FROM layer_blobs WHERE diff_id = ?", diffID);
      const all = rows.map((row): Descriptor & { digest: Digest } => ({
        mediaType: row.media_type,
        digest: row.digest,
        size: row.size,
      }));
      const here = new Set(all.filter((blob) => blobs.has(blob.digest)));
      return [...here, ...all.filter((blob) => !here.has(blob))];
    },
    addBlob(diffID, blob) {
      records.run(
        "INSERT OR REPLACE INTO layer_blobs (diff_id, digest, media_type, size) VALUES (?, ?, ?, ?)",
        diffID,
        blob.digest,
        blob.mediaType,
        blob.size,
      );
    },
    form(diffID, key) {
      const row = records.first<{ value: string }>("SELECT value FROM settings WHERE key = ?", formKey(diffID, key));
      return row === undefined ? undefined : JSON.parse(row.value);
    },
    rememberForm(diffID, key, { digest, size }) {
      records.run(
        "INSERT OR REPLACE INTO settings (key, value) VALUES (?, ?)",
        formKey(diffID, key),
        JSON.stringify({ digest, size }),
      );
    },
    shortPath(diffID) {
      const row = records.first<{ n: number }>("SELECT n FROM layers WHERE diff_id = ?", diffID);
      if (row === undefined) throw new SlipwayError("LAYER_NOT_FOUND", `layer ${diffID} is not in the store`);
      const short = join("l", row.n.toString(36));
      try {
        symlinkSync(join("..", "layers", digestHex(diffID), "fs"), join(root, short));
      } catch (error) {
        // A number is given once only: what is there is ours.
        if (!isErrno(error, "EEXIST")) throw error;
      }
      return short;
    },
    remove(diffID) {
      const row = records.first<{ n: number }>("SELECT n FROM layers WHERE diff_id = ?", diffID);
      if (row === undefined) return;
      records.transaction(() => {
        const lease = takeLease("remove layer");
        const keys = records.all<{ key: string }>("SELECT key FROM cache_layers WHERE diff_id = ?", diffID);
        for (const { key } of keys) markFreed(records, lease.id, forget(records, key));
        const forms = records.all<BlobRow>("SELECT digest FROM layer_blobs WHERE diff_id = ?", diffID);
        markFreed(
          records,
          lease.id,
          forms.map(({ digest }) => ({ kind: "blob", digest })),
        );
        records.run("DELETE FROM layer_blobs WHERE diff_id = ?", diffID);
        // "!" sorts right after a space.
        records.run(
          "DELETE FROM settings WHERE key > ? AND key < ?",
          formKey(diffID, ""),
          formKey(diffID, "").replace(/ $/, "!"),
        );
        records.run("DELETE FROM layers WHERE diff_id = ?", diffID);
        records.afterCommit(() => {
          try {
            // Only now, and not if another process has made the layer again.
            records.transaction(() => {
              if (get(diffID) === undefined) moveAside(linux, place(diffID), join(lease.directory(), "layer"));
            });
            unlinkIfThere(linux, join(root, "l", row.n.toString(36)));
          } finally {
            lease.release();
          }
        });
      });
    },
    settle() {
      // What was written long enough ago is on the disk already, as a rule, so that this waits for little.
      const rows = records.all<{ diff_id: Digest }>(
        "SELECT diff_id FROM layers WHERE unsynced_boot = ? AND created < ?",
        readBootId(),
        Date.now() - WRITEBACK_MS,
      );
      if (rows.length === 0) return;
      try {
        const began = Date.now();
        const child = Bun.spawn(["sync", "-f", root], {
          stdio: ["ignore", "ignore", "ignore"],
          onExit: (_, code) => {
            if (code !== 0) return;
            markSettled(rows.map((row) => row.diff_id));
            doubt.endBefore(began);
          },
        });
        child.unref();
      } catch (error) {
        if (!isErrno(error, "ENOENT")) throw error; // no such program: the layers stay unsettled
      }
    },
    unsettled: () =>
      records
        .all<LayerRow>(
          "SELECT * FROM layers WHERE unsynced_boot IS NOT NULL AND unsynced_boot <> ? ORDER BY n",
          readBootId(),
        )
        .map(toRecord),
    markSettled,
    replace(diffID, directory, lease) {
      const { path } = require(diffID);
      records.transaction(() => {
        moveAside(linux, path, join(lease.directory(), "fs"));
        linux.renameat2(AT_FDCWD, directory, AT_FDCWD, path);
        // It is as new as any.
        records.run("UPDATE layers SET unsynced_boot = ?, disk = NULL WHERE diff_id = ?", readBootId(), diffID);
      });
    },
    ofTarSize: (tarSize) =>
      records.all<LayerRow>("SELECT * FROM layers WHERE tar_size = ? ORDER BY n DESC", tarSize).map(toRecord),
    list: () => records.all<LayerRow>("SELECT * FROM layers ORDER BY n").map(toRecord),
  };
}

/** A form is a pure function of the layer: it is kept among the small facts, and goes with its layer. */
function formKey(diffID: Digest, key: string): string {
  return `layer form ${diffID} ${key}`;
}

export function moveAside(linux: Linux, from: string, to: string): void {
  try {
    linux.renameat2(AT_FDCWD, from, AT_FDCWD, to);
  } catch (error) {
    if (!isErrno(error, "ENOENT")) throw error;
  }
}
