import { buildLog, findBuild, findStep } from "../../engine/buildRecords.ts";
import type { Command } from "../Command.ts";
import { ownStreams } from "../streams.ts";

export const command: Command = {
  usage: "[BUILD] [STEP]",
  summary: "Show the whole log of a recorded build, or of one of its steps by number or part of its name",
  example: "slipway builds logs",
  min: 0,
  max: 2,
  flags: {},
  async run(call) {
    const [id = "", step] = call.positionals;
    const engine = await call.engine();
    const record = findBuild(engine, id);
    const { stdout } = ownStreams({ interactive: false, tty: false });
    if (step !== undefined) stdout(buildLog(engine, record, findStep(record, step)));
    else for (const each of record.steps) if (each.logSize > 0) stdout(buildLog(engine, record, each));
    return 0;
  },
};
