import { SlipwayError } from "../../oci/SlipwayError.ts";
import { type Command, flag, text } from "../Command.ts";
import { forEach } from "../forEach.ts";
import { ownStreams } from "../streams.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  summary: "Start stopped containers",
  example: "slipway start -ai git",
  min: 0,
  flags: {
    "detach-keys": { type: "string", help: "Keys that leave the container running (default ctrl-p,ctrl-q)" },
    "restart-policy": { type: "bool", help: "Those that their policy starts after a start of the host; no names" },
    checkpoint: { type: "string", help: "", unsupported: "there are no checkpoints" },
    "checkpoint-dir": { type: "string", help: "", unsupported: "there are no checkpoints" },
    attach: { type: "bool", short: "a", help: "Show its output, and end with its exit code" },
    interactive: { type: "bool", short: "i", help: "Connect standard input, too" },
  },
  async run(call) {
    const byPolicy = flag(call, "restart-policy");
    if (byPolicy === call.positionals.length > 0)
      throw new SlipwayError("USAGE", "start takes names of containers, or --restart-policy");
    const engine = await call.engine();
    if (byPolicy) {
      const { startByPolicy } = await import("../../engine/containers/startByPolicy.ts");
      const { failed, started } = await startByPolicy(engine);
      for (const name of started) call.out(`${name}\n`);
      for (const { name, error } of failed) call.err(`slipway: ${name}: ${error.message}\n`);
      return failed.length > 0 ? 1 : 0;
    }
    const interactive = flag(call, "interactive");
    if (!flag(call, "attach") && !interactive) {
      const { startContainer } = await import("../../engine/containers/startContainer.ts");
      return forEach(call, async (name) => {
        await startContainer(engine, name);
        call.out(`${name}\n`);
      });
    }
    if (call.positionals.length > 1)
      throw new SlipwayError("USAGE", "you cannot start and attach multiple containers at once");
    const { attachContainer } = await import("../../engine/containers/attachContainer.ts");
    return attachContainer(engine, call.positionals[0] as string, ownStreams({ interactive, tty: true }), {
      start: true,
      detachKeys: text(call, "detach-keys"),
    });
  },
};
