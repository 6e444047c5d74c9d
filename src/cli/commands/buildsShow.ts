import { findBuild } from "../../engine/buildRecords.ts";
import { type Command, text } from "../Command.ts";
import { table } from "../render/table.ts";

export const command: Command = {
  usage: "[OPTIONS] [BUILD]",
  summary: "Show the steps of a recorded build: how long each took, and why it ran",
  example: "slipway builds show",
  min: 0,
  max: 1,
  flags: { format: { type: "string", help: "json" } },
  async run(call) {
    const record = findBuild(await call.engine(), call.positionals[0] ?? "");
    if (text(call, "format") !== undefined) {
      call.out(`${JSON.stringify(record)}\n`);
      return 0;
    }
    call.out(`Build ${record.id}: ${record.status}${record.imageID === undefined ? "" : `, ${record.imageID}`}\n`);
    if (record.error !== undefined) call.out(`${record.error}\n`);
    const rows = record.steps.map((step, i) => [
      String(i + 1),
      step.error !== undefined
        ? "ERROR"
        : step.cached
          ? "CACHED"
          : `${(((step.finished ?? step.started) - step.started) / 1000).toFixed(1)}s`,
      step.name,
      step.reason ?? "",
    ]);
    call.out(table(["#", "TIME", "STEP", "BECAUSE"], rows));
    return 0;
  },
};
