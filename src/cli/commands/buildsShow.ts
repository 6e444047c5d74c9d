import { type BuildRecord, buildChanges, findBuild, outcomeOf } from "../../engine/build/buildRecords.ts";
import { type Command, text } from "../Command.ts";
import { oneLine } from "../render/lineSplitter.ts";
import { table } from "../render/table.ts";

export const command: Command = {
  usage: "[OPTIONS] [BUILD]",
  summary: "Show a recorded build (default: the latest): its steps, how long each took, and why it ran",
  example: "slipway builds show",
  min: 0,
  max: 1,
  flags: { format: { type: "string", help: "json (with every file that changed) or a Go template" } },
  async run(call) {
    const engine = await call.engine();
    const record = findBuild(engine, call.positionals[0] ?? "");
    const format = text(call, "format");
    if (format === undefined) {
      call.out(`${overview(record)}\n${steps(record)}`);
      return 0;
    }
    const changes = buildChanges(engine, record);
    const whole = {
      ...record,
      steps: record.steps.map((step) => ({
        ...step,
        outcome: outcomeOf(step),
        ...(changes[step.id] === undefined ? {} : { changes: changes[step.id] }),
      })),
    };
    if (format === "json") call.out(`${JSON.stringify(whole, undefined, 2)}\n`);
    else {
      const { compileTemplate } = await import("../render/template.ts");
      call.out(`${compileTemplate(format)(whole)}\n`);
    }
    return 0;
  },
};

function overview(record: BuildRecord): string {
  const { finished = record.started, started } = record;
  const lines: [string, string | undefined][] = [
    ["Build", record.id],
    ["Status", record.status],
    ["Error", record.error],
    ["Started", new Date(started).toISOString()],
    ["Duration", seconds(finished - started)],
    ["Context", record.context],
    ["Dockerfile", record.dockerfile],
    ["Target", record.target],
    ["Names", record.tags.length === 0 ? undefined : record.tags.join(", ")],
    ["Image", record.imageID],
  ];
  return lines.flatMap(([name, value]) => (value ? [`${`${name}:`.padEnd(12)}${oneLine(value)}\n`] : [])).join("");
}

function steps(record: BuildRecord): string {
  const rows = record.steps.map((step, i) => {
    const outcome = outcomeOf(step);
    const time = seconds((step.finished ?? step.started) - step.started);
    const said = { failed: "ERROR", canceled: "CANCELED", cached: "CACHED", done: time }[outcome];
    return [String(i + 1), said, oneLine(step.name), oneLine(step.reason ?? step.error ?? "")];
  });
  return table(["#", "TIME", "STEP", "BECAUSE"], rows);
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)}s`;
}
