import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Linux } from "../linux/Linux.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import type { Records } from "./database.ts";
import { removeTree } from "./removeTree.ts";
import { isLayerNamed, markFreed } from "./disposal.ts";
import type { ContainerRecord, Containers, Lease } from "./Store.ts";

/** Docker's rule for names. */
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

export interface ContainersOptions {
  linux: Linux;
  root: string;
  records: Records;
  lease(purpose: string): Lease;
}

export function createContainers({ linux, root, records, lease: takeLease }: ContainersOptions): Containers {
  const directory = (id: string) => join(root, "containers", id);

  function select(where: string, ...values: string[]): ContainerRecord[] {
    return records
      .all<{ record: string }>(`SELECT record FROM containers ${where}`, ...values)
      .map(({ record }) => JSON.parse(record) as ContainerRecord);
  }

  function get(id: string): ContainerRecord | undefined {
    return select("WHERE id = ?", id)[0];
  }

  function checkName(name: string, id: string): void {
    if (!NAME.test(name)) {
      throw new SlipwayError(
        "INVALID_NAME",
        `invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
      );
    }
    const [holder] = select("WHERE name = ? AND id <> ?", name, id);
    if (holder === undefined) return;
    throw new SlipwayError(
      "NAME_IN_USE",
      `the container name "/${name}" is already in use by container "${holder.id}"`,
      {
        hint: "Remove or rename that container to use the name again.",
      },
    );
  }

  function write(record: ContainerRecord): void {
    records.run(
      "INSERT OR REPLACE INTO containers (id, name, image, created, record) VALUES (?, ?, ?, ?, ?)",
      record.id,
      record.name,
      record.image,
      record.created,
      JSON.stringify(record),
    );
  }

  function writeLayers(record: ContainerRecord): void {
    records.run("DELETE FROM container_layers WHERE container = ?", record.id);
    for (const layer of namedLayers(record)) {
      records.run("INSERT OR IGNORE INTO container_layers (diff_id, container) VALUES (?, ?)", layer, record.id);
    }
  }

  return {
    directory,
    create(record) {
      // Inside of the transaction: the sweep takes a directory without a record, and holds the same lock.
      records.transaction(() => {
        checkName(record.name, record.id);
        if (get(record.id) !== undefined) throw new Error(`container ${record.id} is there already`);
        for (const layer of namedLayers(record)) {
          if (records.first("SELECT 1 FROM layers WHERE diff_id = ?", layer) !== undefined) continue;
          throw new SlipwayError("LAYER_NOT_FOUND", `layer ${layer} of the image ${record.image} is not in the store`, {
            hint: "Another process may have removed the image meanwhile: pull or build it again.",
          });
        }
        mkdirSync(directory(record.id), { mode: 0o700 });
        write(record);
        writeLayers(record);
      });
    },
    get,
    find(nameOrId) {
      const name = nameOrId.startsWith("/") ? nameOrId.slice(1) : nameOrId;
      const exact = select("WHERE id = ?", name)[0] ?? select("WHERE name = ?", name)[0];
      if (exact !== undefined) return exact;
      const found = /^[0-9a-f]{1,64}$/.test(name) ? select("WHERE id >= ? AND id < ? LIMIT 2", name, `${name}g`) : [];
      if (found.length > 1)
        throw new SlipwayError("AMBIGUOUS_ID", `more than one container has an ID that begins with ${name}`);
      const [first] = found;
      if (first === undefined) throw new SlipwayError("CONTAINER_NOT_FOUND", `No such container: ${nameOrId}`);
      return first;
    },
    update: (id, changes) =>
      records.transaction(() => {
        const old = get(id);
        if (old === undefined) throw new SlipwayError("CONTAINER_NOT_FOUND", `No such container: ${id}`);
        const record = { ...old, ...changes, id };
        if (record.name !== old.name) checkName(record.name, id);
        write(record);
        if (changes.layers !== undefined) writeLayers(record);
        return record;
      }),
    remove(id) {
      records.transaction(() => {
        const record = get(id);
        const layers = record === undefined ? [] : namedLayers(record);
        records.run("DELETE FROM container_layers WHERE container = ?", id);
        // Those of an image that went before.
        const freed = layers.filter((digest) => !isLayerNamed(records, digest));
        if (freed.length > 0) {
          const lease = takeLease("remove container");
          markFreed(
            records,
            lease.id,
            freed.map((digest) => ({ kind: "layer", digest })),
          );
          lease.release();
        }
        records.run("DELETE FROM containers WHERE id = ?", id);
        records.afterCommit(() => removeTree(linux, directory(id)));
      });
    },
    // Put in order here: SQLite would carry the whole records along.
    list: () => select("").sort((a, b) => b.created - a.created || (a.id < b.id ? -1 : 1)),
  };
}

function namedLayers(record: ContainerRecord): ContainerRecord["layers"] {
  return [...record.layers, ...(record.mountedLayers ?? [])];
}
