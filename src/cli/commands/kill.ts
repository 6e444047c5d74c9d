import { killContainer } from "../../engine/containers/killContainer.ts";
import { type Command, text } from "../Command.ts";
import { forEach } from "../forEach.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  summary: "Send a signal to running containers",
  example: "slipway kill -s HUP web",
  min: 1,
  flags: { signal: { type: "string", short: "s", help: "Signal, name or number (default KILL)" } },
  async run(call) {
    const engine = await call.engine();
    return forEach(call, async (name) => {
      await killContainer(engine, name, text(call, "signal"));
      call.out(`${name}\n`);
    });
  },
};
