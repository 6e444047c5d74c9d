import { renameContainer } from "../../engine/containers/renameContainer.ts";
import type { Command } from "../Command.ts";

export const command: Command = {
  usage: "CONTAINER NEW_NAME",
  summary: "Give a container another name",
  example: "slipway rename web web-old",
  min: 2,
  max: 2,
  flags: {},
  async run(call) {
    const [name = "", wanted = ""] = call.positionals;
    renameContainer(await call.engine(), name, wanted);
    return 0;
  },
};
