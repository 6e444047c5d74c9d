import { containersIn } from "../../engine/networks/networks.ts";
import { isPredefined } from "../../engine/networks/networkRecords.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import type { NetworkRecord } from "../../store/Store.ts";
import { type Command, flag, list, text } from "../Command.ts";
import { printRows, type Row } from "../render/printRows.ts";
import { filters } from "./images.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  summary: "List networks",
  example: "slipway network ls",
  min: 0,
  max: 0,
  flags: {
    quiet: { type: "bool", short: "q", help: "IDs only" },
    "no-trunc": { type: "bool", help: "Whole IDs" },
    filter: {
      type: "list",
      short: "f",
      help: "driver, id, label, name, scope, type (custom, builtin), dangling = VALUE",
    },
    format: { type: "string", help: "json, table or a Go template" },
  },
  async run(call) {
    const engine = await call.engine();
    const wanted = filters(list(call, "filter"));
    const used = (record: NetworkRecord): boolean => containersIn(engine, record).length > 0;
    const found = engine.store.networks.list().filter((record) => matchesNetwork(record, wanted, used));
    const whole = flag(call, "no-trunc");
    const rows = found.map((record) => row(record, whole));
    if (flag(call, "quiet")) {
      for (const each of rows) call.out(`${each.ID}\n`);
      return 0;
    }
    const columns: [string, string][] = [
      ["NETWORK ID", "ID"],
      ["NAME", "Name"],
      ["DRIVER", "Driver"],
      ["SCOPE", "Scope"],
    ];
    await printRows(call.out, rows, columns, text(call, "format"));
    return 0;
  },
};

function row(record: NetworkRecord, whole: boolean): Row {
  return {
    CreatedAt: new Date(record.created).toISOString(),
    Driver: record.driver,
    ID: whole ? record.id : record.id.slice(0, 12),
    IPv4: "true",
    IPv6: String(record.ipv6),
    Internal: String(record.internal),
    Labels: Object.entries(record.labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(","),
    Name: record.name,
    Scope: "local",
  };
}

/** All kinds of filters must agree, of one kind any of its values: of labels all. @throws SlipwayError `USAGE` */
function matchesNetwork(
  record: NetworkRecord,
  wanted: Record<string, string[]>,
  used: (record: NetworkRecord) => boolean,
): boolean {
  const hasLabel = (value: string): boolean => {
    const equals = value.indexOf("=");
    return equals < 0 ? value in record.labels : record.labels[value.slice(0, equals)] === value.slice(equals + 1);
  };
  return Object.entries(wanted).every(([key, values]) => {
    switch (key) {
      case "driver":
        return values.includes(record.driver);
      case "id":
        return values.some((value) => record.id.startsWith(value));
      case "name":
        return values.some((value) => record.name.includes(value));
      case "scope":
        return values.includes("local");
      case "type":
        return values.includes(isPredefined(record) ? "builtin" : "custom");
      case "label":
        return values.every(hasLabel);
      case "dangling":
        return values.some((value) => /^(true|1)$/i.test(value) === (!isPredefined(record) && !used(record)));
      default:
        throw new SlipwayError("USAGE", `invalid filter '${key}'`, {
          hint: "They can by driver, id, label, name, scope, type and dangling.",
        });
    }
  });
}
