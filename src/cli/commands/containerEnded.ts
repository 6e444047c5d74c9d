import { endedContainer } from "../../engine/containers/endedContainer.ts";
import type { Command } from "../Command.ts";

export const command: Command = {
  usage: "CONTAINER",
  summary: "What a container's monitor runs when it has ended",
  example: "slipway container ended 4a2f",
  min: 1,
  max: 1,
  flags: {},
  async run(call) {
    await endedContainer(await call.engine(), call.positionals[0] as string);
    return 0;
  },
};
