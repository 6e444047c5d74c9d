import { listBuilds } from "../../engine/buildRecords.ts";
import { humanDuration } from "../../engine/humanDuration.ts";
import { type Command, text } from "../Command.ts";
import { printRows } from "../render/printRows.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  summary: "List recorded builds, newest first",
  example: "slipway builds",
  min: 0,
  max: 0,
  flags: { format: { type: "string", help: "json, table or a Go template" } },
  async run(call) {
    const rows = listBuilds(await call.engine()).map((build) => ({
      ID: build.id,
      Status: build.status,
      Name: build.tags.join(",") || build.context,
      Steps: `${build.steps.filter((step) => step.cached).length}/${build.steps.length} cached`,
      Duration: `${(((build.finished ?? build.started) - build.started) / 1000).toFixed(1)}s`,
      CreatedSince: `${humanDuration(Date.now() - build.started)} ago`,
      ImageID: build.imageID ?? "",
    }));
    const columns: [string, string][] = [
      ["BUILD ID", "ID"],
      ["NAME", "Name"],
      ["STATUS", "Status"],
      ["STEPS", "Steps"],
      ["DURATION", "Duration"],
      ["CREATED", "CreatedSince"],
    ];
    await printRows(call.out, rows, columns, text(call, "format"));
    return 0;
  },
};
