import type { ContainerSummary, Engine } from "../../engine/Engine.ts";
import { humanDuration } from "../../engine/humanDuration.ts";
import { containerOptions } from "../../engine/containers/ContainerOptions.ts";
import { type ContainerSize, containerSize } from "../../engine/containers/containerSize.ts";
import { psFilter } from "../../engine/containers/psFilter.ts";
import { portsText } from "../../engine/networks/networkPorts.ts";
import { runningNetwork } from "../../engine/networks/networkRecords.ts";
import { listContainers } from "../../engine/containers/listContainers.ts";
import { quote } from "../../plan/goFormat.ts";
import { type Command, flag, list, number, text } from "../Command.ts";
import { humanSize } from "../render/humanSize.ts";
import { printRows, withLabels } from "../render/printRows.ts";
import { goTime } from "../render/rfc3339.ts";
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
    filter: {
      type: "list",
      short: "f",
      help: "ancestor, before, exited, expose, health, id, label, name, network, publish, since, status, volume =VALUE",
    },
    format: { type: "string", help: "json, table or a Go template" },
    size: { type: "bool", short: "s", help: "What each has written, and with its image" },
  },
  async run(call) {
    const engine = await call.engine();
    const filter = psFilter(engine, filters(list(call, "filter")));
    const count = flag(call, "latest") ? 1 : (number(call, "last") ?? -1);
    const all = flag(call, "all") || count >= 0 || filter.wantsAll;
    const found = listContainers(engine, { all }).filter(filter.holds);
    const shown = count < 0 ? found : found.slice(0, count);
    const whole = flag(call, "no-trunc");
    const format = text(call, "format");
    if (flag(call, "quiet")) {
      if (format !== undefined && format !== "table")
        call.err("WARNING: Ignoring custom format, because both --format and --quiet are set.\n");
      call.out(shown.map(({ id }) => `${whole ? id : id.slice(0, 12)}\n`).join(""));
      return 0;
    }
    // Sizes are looked for where they are shown: it takes a walk through all files.
    const withSizes = flag(call, "size") || /\.Size\b/.test(format ?? "");
    const rows = shown.map((each) => row(engine, each, whole, withSizes ? containerSize(engine, each) : undefined));
    const columns: [string, string][] = [
      ["CONTAINER ID", "ID"],
      ["IMAGE", "Image"],
      ["COMMAND", "Command"],
      ["CREATED", "RunningFor"],
      ["STATUS", "Status"],
      ["PORTS", "Ports"],
      ["NAMES", "Names"],
    ];
    if (withSizes) columns.push(["SIZE", "Size"]);
    await printRows(call.out, rows, columns, format);
    return 0;
  },
};

function row(
  engine: Engine,
  each: ContainerSummary,
  whole: boolean,
  size: ContainerSize | undefined,
): Record<string, string> {
  const letters = [...each.commandText];
  const command =
    whole || letters.length <= MAX_COMMAND ? each.commandText : `${letters.slice(0, MAX_COMMAND - 1).join("")}…`;
  const { config, network, networks = [], mounts } = containerOptions(each);
  const labels = config.Labels ?? {};
  const values = {
    ID: whole ? each.id : each.id.slice(0, 12),
    Image: each.imageReference,
    Command: quote(command),
    // What the table does not show is made when it is asked for.
    get CreatedAt() {
      return goTime(each.created);
    },
    RunningFor: `${humanDuration(Date.now() - each.created)} ago`,
    Status: each.statusText,
    State: each.status,
    Ports: ports(each),
    Names: each.name,
    get Labels() {
      return Object.entries(labels)
        .map(([key, value]) => `${key}=${value}`)
        .join(",");
    },
    get Networks() {
      const all = engine.store.networks.list();
      const names = networks.flatMap((attachment) => all.find(({ id }) => id === attachment.network)?.name ?? []);
      return names.length === 0 ? network : names.sort().join(",");
    },
    LocalVolumes: String(mounts.filter((mount) => mount.type === "volume").length),
    get Mounts() {
      const volumes = mounts.map(({ name, source, target }) => name ?? (source || target));
      return volumes.map((name) => (whole || name.length <= 15 ? name : `${name.slice(0, 14)}…`)).join(",");
    },
    Size: size === undefined ? "0B" : `${humanSize(size.written)} (virtual ${humanSize(size.whole)})`,
  };
  return withLabels(values, labels);
}

/** Of one that runs. */
function ports(each: ContainerSummary): string {
  if (each.status !== "running" && each.status !== "paused") return "";
  return portsText(runningNetwork(each).ports, Object.keys(containerOptions(each).config.ExposedPorts ?? {}));
}
