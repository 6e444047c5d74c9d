import { unpauseContainer } from "../../engine/containers/pauseContainer.ts";
import type { Command } from "../Command.ts";
import { forEach } from "../forEach.ts";

export const command: Command = {
  usage: "CONTAINER [CONTAINER...]",
  summary: "Let the processes of paused containers go on",
  example: "slipway unpause web",
  min: 1,
  flags: {},
  async run(call) {
    const engine = await call.engine();
    return forEach(call, async (name) => {
      await unpauseContainer(engine, name);
      call.out(`${name}\n`);
    });
  },
};
