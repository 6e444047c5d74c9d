import { findBuild, findStep } from "../../engine/build/buildRecords.ts";
import type { Command } from "../Command.ts";
import { ownTerminal } from "../ownTerminal.ts";
import { oneLine } from "../render/lineSplitter.ts";

export const command: Command = {
  usage: "BUILD STEP",
  summary: "Open a shell in the result of a step of a recorded build; what is changed there is thrown away",
  example: "slipway builds shell mh3k 4",
  min: 2,
  max: 2,
  flags: {},
  async run(call) {
    const [id = "", name = ""] = call.positionals;
    const terminal = ownTerminal("builds shell");
    const engine = await call.engine();
    const record = findBuild(engine, id);
    const step = findStep(record, name);
    const { buildShell } = await import("../../engine/build/buildShell.ts");
    await buildShell(engine, record, step, {
      terminal,
      opening: (shell) =>
        call.err(
          `${shell} in the result of ${oneLine(step.name)}\nWhat you change is thrown away. Leave with "exit" or Ctrl-D.\n`,
        ),
    });
    return 0;
  },
};
