import { stopContainer } from "../../engine/containers/stopContainer.ts";
import { type Command, number, text } from "../Command.ts";
import { forEach } from "../forEach.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  summary: "Stop running containers: a signal, then SIGKILL after a while",
  example: "slipway stop -t 3 web",
  min: 1,
  flags: {
    time: { type: "int", short: "t", help: "Seconds to wait before SIGKILL (default 10)" },
    timeout: { type: "int", help: "The same as --time" },
    signal: { type: "string", short: "s", help: "Signal to send" },
  },
  async run(call) {
    const engine = await call.engine();
    const timeout = number(call, "time") ?? number(call, "timeout");
    const signal = text(call, "signal");
    return forEach(call, async (name) => {
      await stopContainer(engine, name, {
        ...(timeout === undefined ? {} : { timeout }),
        ...(signal === undefined ? {} : { signal }),
      });
      call.out(`${name}\n`);
    });
  },
};
