import { topContainer } from "../../engine/containers/topContainer.ts";
import type { Command } from "../Command.ts";
import { table } from "../render/table.ts";

export const command: Command = {
  usage: "CONTAINER [ps OPTIONS]",
  summary: "Show the processes of a container",
  example: "slipway top web -o pid,cmd",
  min: 1,
  stopAtPositional: true,
  flags: {},
  async run(call) {
    const [name = "", ...args] = call.positionals;
    const [titles = [], ...rows] = await topContainer(await call.engine(), name, args);
    call.out(table(titles, rows));
    return 0;
  },
};
