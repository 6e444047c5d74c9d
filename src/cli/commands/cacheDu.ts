import { cacheMounts } from "../../engine/build/cacheMounts.ts";
import { type Command, text } from "../Command.ts";
import { humanSize } from "../render/humanSize.ts";
import { printRows } from "../render/printRows.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  summary: "Show what the cache mounts have on the disk, largest first, and the sum",
  example: "slipway cache du",
  min: 0,
  max: 0,
  flags: {
    id: { type: "string", help: "Only those with this id" },
    format: { type: "string", help: "json, table or a Go template" },
  },
  async run(call) {
    const mounts = await cacheMounts(await call.engine(), text(call, "id"));
    const sizes = new Map<string, number>();
    for (const { id, size } of mounts) sizes.set(id, (sizes.get(id) ?? 0) + size);
    const rows = [...sizes].sort((a, b) => b[1] - a[1]).map(([ID, size]) => ({ Size: humanSize(size, 4), ID }));
    const format = text(call, "format");
    const columns: [string, string][] = [
      ["SIZE", "Size"],
      ["ID", "ID"],
    ];
    await printRows(call.out, rows, columns, format);
    if (format !== undefined && format !== "table") return 0;
    call.out(
      `Total: ${humanSize(
        [...sizes.values()].reduce((a, b) => a + b, 0),
        4,
      )}\n`,
    );
    return 0;
  },
};
