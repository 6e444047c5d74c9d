import { startContainer } from "../../engine/startContainer.ts";
import { stopContainer } from "../../engine/stopContainer.ts";
import { type Command, number } from "../Command.ts";
import { forEach } from "../forEach.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  summary: "Stop containers and start them again",
  example: "slipway restart web",
  min: 1,
  flags: { time: { type: "int", short: "t", help: "Seconds to wait before SIGKILL (default 10)" } },
  async run(call) {
    const engine = await call.engine();
    const timeout = number(call, "time");
    return forEach(call, async (name) => {
      await stopContainer(engine, name, timeout === undefined ? {} : { timeout });
      await startContainer(engine, name);
      call.out(`${name}\n`);
    });
  },
};
