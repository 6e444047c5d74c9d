import { SlipwayError } from "../oci/SlipwayError.ts";
import type { Records } from "./database.ts";
import type { NetworkRecord, Networks } from "./Store.ts";

/** The table is made when the first network is looked for: most commands ask for none. */
export function createNetworks(records: Records): Networks {
  let ready = false;

  /** All of them; `bridge`, `host` and `none` are there from the start. */
  function all(): NetworkRecord[] {
    if (!ready) {
      records.run(
        "CREATE TABLE IF NOT EXISTS networks (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, record TEXT NOT NULL) WITHOUT ROWID",
      );
      ready = true;
      if (select().length === 0)
        records.transaction(() => {
          for (const record of select().length === 0 ? predefined() : []) write(record);
        });
    }
    return select();
  }

  function select(): NetworkRecord[] {
    return records
      .all<{ record: string }>("SELECT record FROM networks ORDER BY name")
      .map(({ record }) => JSON.parse(record) as NetworkRecord);
  }

  function write(record: NetworkRecord): void {
    records.run(
      "INSERT INTO networks (id, name, record) VALUES (?, ?, ?)",
      record.id,
      record.name,
      JSON.stringify(record),
    );
  }

  return {
    list: all,
    find(nameOrId) {
      const networks = all();
      const exact = networks.find(({ id }) => id === nameOrId) ?? networks.find(({ name }) => name === nameOrId);
      if (exact !== undefined) return exact;
      const found = nameOrId === "" ? [] : networks.filter(({ id }) => id.startsWith(nameOrId));
      if (found.length > 1)
        throw new SlipwayError("AMBIGUOUS_ID", `more than one network has an ID that begins with ${nameOrId}`);
      const [first] = found;
      if (first === undefined)
        throw new SlipwayError("NETWORK_NOT_FOUND", `network ${nameOrId} not found`, {
          hint: "slipway network ls shows those that are there; network create makes one.",
        });
      return first;
    },
    create(record) {
      records.transaction(() => {
        if (all().some(({ name }) => name === record.name))
          throw new SlipwayError("NETWORK_EXISTS", `network with name ${record.name} already exists`);
        write(record);
      });
    },
    remove(id) {
      records.run("DELETE FROM networks WHERE id = ?", id);
    },
  };
}

function predefined(): NetworkRecord[] {
  return [
    ["bridge", "bridge"],
    ["host", "host"],
    ["none", "null"],
  ].map(([name, driver]) => ({
    id: Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("hex"),
    name: name as string,
    driver: driver as NetworkRecord["driver"],
    created: Date.now(),
    subnets: [],
    internal: false,
    attachable: false,
    ipv6: false,
    options: {},
    labels: {},
  }));
}
