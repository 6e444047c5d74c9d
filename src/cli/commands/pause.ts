import { pauseContainer } from "../../engine/containers/pauseContainer.ts";
import type { Command } from "../Command.ts";
import { forEach } from "../forEach.ts";

export const command: Command = {
  usage: "CONTAINER [CONTAINER...]",
  summary: "Stop all processes of containers where they are",
  example: "slipway pause web",
  min: 1,
  flags: {},
  async run(call) {
    const engine = await call.engine();
    return forEach(call, async (name) => {
      await pauseContainer(engine, name);
      call.out(`${name}\n`);
    });
  },
};
