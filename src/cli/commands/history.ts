import { history } from "../../engine/images/history.ts";
import { humanDuration } from "../../engine/humanDuration.ts";
import { type Command, flag, text } from "../Command.ts";
import { humanSize } from "../render/humanSize.ts";
import { printRows } from "../render/printRows.ts";

/** Docker's width of CREATED BY. */
const MAX_CREATED_BY = 45;

export const command: Command = {
  usage: "[OPTIONS] IMAGE",
  summary: "Show how an image was made, layer by layer, newest first",
  example: "slipway history hello",
  min: 1,
  max: 1,
  flags: {
    quiet: { type: "bool", short: "q", help: "IDs only" },
    "no-trunc": { type: "bool", help: "Whole IDs and texts" },
    human: { type: "bool", short: "H", help: "Sizes and times for people (default true)" },
    platform: { type: "string", help: "Of an image of several platforms this one, os/architecture" },
    format: { type: "string", help: "json, table or a Go template" },
  },
  async run(call) {
    const whole = flag(call, "no-trunc");
    const human = call.values.human !== false;
    const rows = history(await call.engine(), call.positionals[0] as string, text(call, "platform")).map((entry) => {
      const created = entry.created === undefined ? undefined : Date.parse(entry.created);
      const by = (entry.created_by ?? "").replace(/\s+/g, " ");
      return {
        ID:
          entry.id === undefined
            ? "<missing>"
            : whole
              ? entry.id
              : entry.id.slice("sha256:".length, "sha256:".length + 12),
        CreatedSince:
          created === undefined ? "N/A" : human ? `${humanDuration(Date.now() - created)} ago` : (entry.created ?? ""),
        CreatedAt: entry.created ?? "",
        CreatedBy: whole || by.length <= MAX_CREATED_BY ? by : `${by.slice(0, MAX_CREATED_BY - 1)}…`,
        Size: human ? humanSize(entry.size) : String(entry.size),
        Comment: entry.comment ?? "",
      };
    });
    if (flag(call, "quiet")) {
      for (const row of rows) call.out(`${row.ID}\n`);
      return 0;
    }
    const columns: [string, string][] = [
      ["IMAGE", "ID"],
      ["CREATED", "CreatedSince"],
      ["CREATED BY", "CreatedBy"],
      ["SIZE", "Size"],
      ["COMMENT", "Comment"],
    ];
    await printRows(call.out, rows, columns, text(call, "format"));
    return 0;
  },
};
