import type { ContainerSummary } from "../../engine/Engine.ts";
import { humanDuration } from "../../engine/humanDuration.ts";
import { containerOptions } from "../../engine/ContainerOptions.ts";
import { portsText } from "../../engine/networkPorts.ts";
import { runningNetwork } from "../../engine/networkRecords.ts";
import { listContainers } from "../../engine/listContainers.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { quote } from "../../plan/goFormat.ts";
import { type Command, flag, list, number, text } from "../Command.ts";
import { printRows } from "../render/printRows.ts";
import { filters } from "./images.ts";

/** Docker's width of COMMAND. */
const MAX_COMMAND = 20;

export const command: Command = {
  usage: "[OPTIONS]",
  summary: "List containers",
  example: "slipway ps -a",
  min: 0,
  max: 0,
  flags: {
    all: { type: "bool", short: "a", help: "Stopped ones, too" },
    quiet: { type: "bool", short: "q", help: "IDs only" },
    latest: { type: "bool", short: "l", help: "The latest one, whatever its state" },
    last: { type: "int", short: "n", help: "So many of the latest, whatever their state" },
    "no-trunc": { type: "bool", help: "Whole IDs and commands" },
    filter: { type: "list", short: "f", help: "id, name, status, exited, label, ancestor = VALUE" },
    format: { type: "string", help: "json, table or a Go template" },
    size: { type: "bool", short: "s", help: "", unsupported: "it comes in a later version" },
  },
  async run(call) {
    const wanted = filters(list(call, "filter"));
    const last = flag(call, "latest") ? 1 : number(call, "last");
    const all = flag(call, "all") || last !== undefined || wanted.status !== undefined || wanted.exited !== undefined;
    const found = listContainers(await call.engine(), { all }).filter((each) => matches(each, wanted));
    const shown = last === undefined ? found : found.slice(0, last);
    const whole = flag(call, "no-trunc");
    const rows = shown.map((each) => row(each, whole));
    if (flag(call, "quiet")) {
      for (const each of rows) call.out(`${each.ID}\n`);
      return 0;
    }
    const columns: [string, string][] = [
      ["CONTAINER ID", "ID"],
      ["IMAGE", "Image"],
      ["COMMAND", "Command"],
      ["CREATED", "RunningFor"],
      ["STATUS", "Status"],
      ["PORTS", "Ports"],
      ["NAMES", "Names"],
    ];
    await printRows(call.out, rows, columns, text(call, "format"));
    return 0;
  },
};

function row(each: ContainerSummary, whole: boolean): Record<string, string> {
  const letters = [...each.commandText];
  const command =
    whole || letters.length <= MAX_COMMAND ? each.commandText : `${letters.slice(0, MAX_COMMAND - 1).join("")}…`;
  const { labels, network } = containerOptions(each);
  return {
    ID: whole ? each.id : each.id.slice(0, 12),
    Image: each.imageReference,
    Command: quote(command),
    CreatedAt: new Date(each.created).toISOString(),
    RunningFor: `${humanDuration(Date.now() - each.created)} ago`,
    Status: each.statusText,
    State: each.status,
    Ports: ports(each),
    Names: each.name,
    Labels: Object.entries(labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(","),
    Networks: network,
    Mounts: "",
    Size: "0B",
  };
}

/** Of one that runs. */
function ports(each: ContainerSummary): string {
  if (each.status !== "running" && each.status !== "paused") return "";
  return portsText(runningNetwork(each).ports, Object.keys(containerOptions(each).config.ExposedPorts ?? {}));
}

function matches(each: ContainerSummary, wanted: Record<string, string[]>): boolean {
  const { labels } = containerOptions(each);
  return Object.entries(wanted).every(([key, values]) =>
    values.some((value) => {
      switch (key) {
        case "id":
          return each.id.startsWith(value);
        case "name":
          return new RegExp(value).test(each.name);
        case "status":
          return each.status === value;
        case "exited":
          return each.status === "exited" && String(each.exitCode) === value;
        case "ancestor":
          return (
            each.imageReference === value ||
            each.imageReference === `${value}:latest` ||
            each.image.slice("sha256:".length).startsWith(value)
          );
        case "label": {
          const equals = value.indexOf("=");
          return equals < 0 ? value in labels : labels[value.slice(0, equals)] === value.slice(equals + 1);
        }
        default:
          throw new SlipwayError("USAGE", `ps cannot filter by ${JSON.stringify(key)}`, {
            hint: "It filters by id, name, status, exited, label and ancestor.",
          });
      }
    }),
  );
}
