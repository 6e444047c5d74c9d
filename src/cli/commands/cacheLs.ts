import { cacheMounts } from "../../engine/build/cacheMounts.ts";
import { humanDuration } from "../../engine/humanDuration.ts";
import { type Command, flag, text } from "../Command.ts";
import { humanSize } from "../render/humanSize.ts";
import { printRows } from "../render/printRows.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  summary: "List the cache mounts that RUN steps have asked for",
  example: "slipway cache ls",
  min: 0,
  max: 0,
  flags: {
    id: { type: "string", help: "Only those with this id" },
    quiet: { type: "bool", short: "q", help: "IDs only" },
    format: { type: "string", help: "json, table or a Go template" },
  },
  async run(call) {
    const mounts = await cacheMounts(await call.engine(), text(call, "id"));
    if (flag(call, "quiet")) {
      for (const id of new Set(mounts.map((mount) => mount.id))) call.out(`${id}\n`);
      return 0;
    }
    const now = Date.now();
    const rows = mounts.map((mount) => ({
      ID: mount.id,
      Name: mount.name,
      Sharing: mount.sharing,
      Size: humanSize(mount.size),
      CreatedAt: new Date(mount.created).toISOString(),
      CreatedSince: `${humanDuration(now - mount.created)} ago`,
      LastUsedAt: new Date(mount.used).toISOString(),
      LastUsedSince: `${humanDuration(now - mount.used)} ago`,
      InUse: String(mount.inUse),
    }));
    const columns: [string, string][] = [
      ["ID", "ID"],
      ["SHARING", "Sharing"],
      ["SIZE", "Size"],
      ["CREATED", "CreatedSince"],
      ["LAST USED", "LastUsedSince"],
      ["IN USE", "InUse"],
      ["NAME", "Name"],
    ];
    await printRows(call.out, rows, columns, text(call, "format"));
    return 0;
  },
};
