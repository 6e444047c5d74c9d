import { startContainer } from "../../engine/containers/startContainer.ts";
import { recordContainerEvent } from "../../engine/events/eventLog.ts";
import { stopContainer } from "../../engine/containers/stopContainer.ts";
import { type Command, given, number, text } from "../Command.ts";
import { forEach } from "../forEach.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  summary: "Stop containers and start them again",
  example: "slipway restart web",
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
      await stopContainer(engine, name, { ...given("timeout", timeout), ...given("signal", signal) });
      await startContainer(engine, name);
      recordContainerEvent(engine, engine.store.containers.find(name), "restart");
      call.out(`${name}\n`);
    });
  },
};
