import { removeContainer } from "../../engine/containers/removeContainer.ts";
import { type Command, flag } from "../Command.ts";
import { forEach } from "../forEach.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  summary: "Remove containers with all that they have written",
  example: "slipway rm -f web",
  min: 1,
  flags: {
    force: { type: "bool", short: "f", help: "Kill it first when it runs" },
    volumes: { type: "bool", short: "v", help: "Remove its anonymous volumes, too" },
    link: { type: "bool", short: "l", help: "", unsupported: "links are Docker's past" },
  },
  async run(call) {
    const engine = await call.engine();
    return forEach(call, async (name) => {
      try {
        await removeContainer(engine, name, { force: flag(call, "force"), volumes: flag(call, "volumes") });
      } catch (error) {
        // With --force, one that is not there is as good as removed.
        if (!flag(call, "force") || (error as { code?: string }).code !== "CONTAINER_NOT_FOUND") throw error;
        call.err(`slipway: ${(error as Error).message}\n`);
        return;
      }
      call.out(`${name}\n`);
    });
  },
};
