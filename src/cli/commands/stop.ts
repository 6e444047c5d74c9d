import { type StopOptions, stopContainer } from "../../engine/containers/stopContainer.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { type Command, flag, number, text } from "../Command.ts";
import { forEach } from "../forEach.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  summary: "Stop running containers: a signal, then SIGKILL after a while",
  example: "slipway stop -t 3 web",
  min: 0,
  flags: {
    time: { type: "int", short: "t", help: "Seconds to wait before SIGKILL (default 10)" },
    timeout: { type: "int", help: "The same as --time" },
    signal: { type: "string", short: "s", help: "Signal to send" },
    "restart-policy": {
      type: "bool",
      help: "All, for an end of the host: start --restart-policy starts them again; no names",
    },
  },
  async run(call) {
    const withHost = flag(call, "restart-policy");
    if (withHost === call.positionals.length > 0)
      throw new SlipwayError("USAGE", "stop takes names of containers, or --restart-policy");
    const engine = await call.engine();
    const timeout = number(call, "time") ?? number(call, "timeout");
    const signal = text(call, "signal");
    const options: StopOptions = {
      ...(timeout === undefined ? {} : { timeout }),
      ...(signal === undefined ? {} : { signal }),
    };
    if (withHost) {
      const { stopWithHost } = await import("../../engine/containers/stopWithHost.ts");
      const { failed, stopped } = await stopWithHost(engine, options);
      for (const name of stopped) call.out(`${name}\n`);
      for (const { name, error } of failed) call.err(`slipway: ${name}: ${error.message}\n`);
      return failed.length > 0 ? 1 : 0;
    }
    return forEach(call, async (name) => {
      await stopContainer(engine, name, options);
      call.out(`${name}\n`);
    });
  },
};
