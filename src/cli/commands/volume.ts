import { describeVolume, listVolumes, usedVolumes, type Volume } from "../../engine/volumes/volumeRecords.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { type Command, flag, list, text } from "../Command.ts";
import { printRows } from "../render/printRows.ts";
import { filters } from "./images.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  summary: "List volumes; `volume create`, `volume inspect`, `volume rm`",
  example: "slipway volume ls",
  min: 0,
  max: 0,
  flags: {
    filter: { type: "list", short: "f", help: "dangling, driver, label, name =VALUE" },
    format: { type: "string", help: "json, table or a Go template" },
    quiet: { type: "bool", short: "q", help: "Only names" },
    cluster: { type: "bool", help: "", unsupported: "there are no clusters" },
  },
  async run(call) {
    const engine = await call.engine();
    const wanted = filters(list(call, "filter"));
    const used = wanted.dangling === undefined ? new Map<string, string[]>() : usedVolumes(engine);
    const found = listVolumes(engine).filter((volume) => matches(volume, wanted, used));
    const format = text(call, "format");
    if (flag(call, "quiet") && format === undefined) {
      for (const volume of found) call.out(`${volume.name}\n`);
      return 0;
    }
    const columns: [string, string][] = [
      ["DRIVER", "Driver"],
      ["VOLUME NAME", "Name"],
    ];
    await printRows(call.out, found.map(row), columns, format);
    return 0;
  },
};

function row(volume: Volume): Record<string, string> {
  const { Driver, Mountpoint, Name, Scope } = describeVolume(volume) as Record<string, string>;
  const Labels = Object.entries(volume.labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(",");
  return {
    Availability: "N/A",
    Driver: Driver as string,
    Group: "N/A",
    Labels,
    Links: "N/A",
    Mountpoint: Mountpoint as string,
    Name: Name as string,
    Scope: Scope as string,
    Size: "N/A",
    Status: "N/A",
  };
}

function matches(volume: Volume, wanted: Record<string, string[]>, used: Map<string, string[]>): boolean {
  return Object.entries(wanted).every(([key, values]) => {
    const holds = (value: string): boolean => {
      switch (key) {
        case "name":
          return volume.name.includes(value);
        case "driver":
          return value === "local";
        case "dangling":
          if (!/^(1|0|true|false)$/i.test(value))
            throw new SlipwayError("USAGE", `invalid filter 'dangling=[${value}]'`);
          return /^(1|true)$/i.test(value) !== used.has(volume.name);
        case "label": {
          const equals = value.indexOf("=");
          const name = equals < 0 ? value : value.slice(0, equals);
          return name in volume.labels && (equals < 0 || volume.labels[name] === value.slice(equals + 1));
        }
        default:
          throw new SlipwayError("USAGE", `invalid filter '${key}'`, {
            hint: "Volumes are filtered by dangling, driver, label and name.",
          });
      }
    };
    return key === "label" ? values.every(holds) : values.some(holds);
  });
}
