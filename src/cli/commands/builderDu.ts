import { cacheFilter, cacheTypes, describeEntry } from "../../engine/prune/pruneCache.ts";
import { type Command, flag, list, text } from "../Command.ts";
import { cacheColumns, cacheRows } from "../render/diskDetails.ts";
import { humanSize } from "../render/humanSize.ts";
import { printRows } from "../render/printRows.ts";
import { filters } from "./images.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  summary: "Show what the build cache has on the disk, largest first",
  example: "slipway builder du --filter type=exec.cachemount",
  min: 0,
  max: 0,
  flags: {
    filter: { type: "list", help: "until, unused-for, id, type, description, inuse, shared, private = VALUE" },
    verbose: { type: "bool", help: "All about each, one line a fact" },
    format: { type: "string", help: "json, table or a Go template" },
  },
  async run(call) {
    const matches = cacheFilter(filters(list(call, "filter")));
    const collector = await (await call.engine()).store.collector();
    const entries = collector.entries().filter(matches);
    entries.sort((a, b) => b.size - a.size);
    const format = text(call, "format");
    if (flag(call, "verbose") && format === undefined) {
      for (const entry of entries) {
        const facts: [string, string][] = [
          ["ID", entry.id.replace(/^sha256:/, "")],
          ["Created at", new Date(entry.created).toISOString()],
          ["Last used", new Date(entry.used).toISOString()],
          ["Reclaimable", String(!entry.inUse && !entry.shared)],
          ["Shared", String(entry.shared)],
          ["In use", String(entry.inUse)],
          ["Size", humanSize(entry.size)],
          ["Description", describeEntry(entry)],
          ["Type", cacheTypes[entry.kind]],
        ];
        for (const [name, value] of facts) call.out(`${`${name}:`.padEnd(13)}${value}\n`);
        call.out("\n");
      }
    } else await printRows(call.out, cacheRows(entries), cacheColumns, format);
    if (format !== undefined && format !== "table") return 0;
    const sum = (some: typeof entries) =>
      humanSize(
        some.reduce((total, { size }) => total + size, 0),
        4,
      );
    call.out(`\nShared:      ${sum(entries.filter(({ shared }) => shared))}\n`);
    call.out(`Private:     ${sum(entries.filter(({ shared }) => !shared))}\n`);
    call.out(`Reclaimable: ${sum(entries.filter(({ shared, inUse }) => !shared && !inUse))}\n`);
    call.out(`Total:       ${sum(entries)}\n`);
    return 0;
  },
};
