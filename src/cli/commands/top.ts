import { topContainer } from "../../engine/containers/topContainer.ts";
import type { Command } from "../Command.ts";
import { table } from "../render/table.ts";

/** Docker makes these columns twice as wide as those of its other tables. */
const DOCKERS_NARROWEST = 20;

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
    call.out(table(titles, rows, { narrowest: DOCKERS_NARROWEST }));
    return 0;
  },
};
