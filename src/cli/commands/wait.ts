import { waitContainer } from "../../engine/containers/waitContainer.ts";
import type { Command } from "../Command.ts";
import { forEach } from "../forEach.ts";

export const command: Command = {
  usage: "CONTAINER [CONTAINER...]",
  summary: "Wait until containers end, and print their exit codes",
  example: "slipway wait job",
  min: 1,
  flags: {},
  async run(call) {
    const engine = await call.engine();
    return forEach(call, async (name) => call.out(`${await waitContainer(engine, name)}\n`));
  },
};
