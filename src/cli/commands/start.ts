import { SlipwayError } from "../../oci/SlipwayError.ts";
import { type Command, flag } from "../Command.ts";
import { forEach } from "../forEach.ts";
import { ownStreams } from "../streams.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  summary: "Start stopped containers",
  example: "slipway start -ai git",
  min: 1,
  flags: {
    attach: { type: "bool", short: "a", help: "Show its output, and end with its exit code" },
    interactive: { type: "bool", short: "i", help: "Connect standard input, too" },
  },
  async run(call) {
    const engine = await call.engine();
    const interactive = flag(call, "interactive");
    if (!flag(call, "attach") && !interactive) {
      const { startContainer } = await import("../../engine/startContainer.ts");
      return forEach(call, async (name) => {
        await startContainer(engine, name);
        call.out(`${name}\n`);
      });
    }
    if (call.positionals.length > 1)
      throw new SlipwayError("USAGE", "you cannot start and attach multiple containers at once");
    const { attachContainer } = await import("../../engine/attachContainer.ts");
    return attachContainer(engine, call.positionals[0] as string, ownStreams({ interactive, tty: true }), {
      start: true,
    });
  },
};
