import { buildLog, findBuild, findStep } from "../../engine/build/buildRecords.ts";
import type { Command } from "../Command.ts";
import { oneLine } from "../render/lineSplitter.ts";
import { ownStreams } from "../streams.ts";

export const command: Command = {
  usage: "[BUILD] [STEP]",
  summary: "Show the whole log of a recorded build, or of one of its steps by number or part of its name",
  example: "slipway builds logs",
  min: 0,
  max: 2,
  flags: {},
  async run(call) {
    const [id = "", name] = call.positionals;
    const engine = await call.engine();
    const record = findBuild(engine, id);
    const { stdout } = ownStreams({ interactive: false, tty: false });
    if (name !== undefined) {
      // The bytes as they came, and nothing else.
      for (const piece of buildLog(engine, record, findStep(record, name))) stdout(piece);
      return 0;
    }
    let first = true;
    for (const [n, step] of record.steps.entries()) {
      if (step.logSize === 0) continue;
      stdout(Buffer.from(`${first ? "" : "\n"}#${n + 1} ${oneLine(step.name)}\n`));
      first = false;
      let last: number | undefined;
      for (const piece of buildLog(engine, record, step)) {
        stdout(piece);
        last = piece.at(-1);
      }
      if (last !== 10) stdout(Buffer.from("\n"));
    }
    return 0;
  },
};
