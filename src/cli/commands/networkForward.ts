import { createLinux } from "../../linux/createLinux.ts";
import { forwardPorts } from "../../runtime/network/forwardPorts.ts";
import type { Command } from "../Command.ts";

export const command: Command = {
  usage: "DESCRIPTION",
  summary: "Lead a plain user's published ports to a container, until its monitor ends",
  example: "slipway network forward {}",
  min: 1,
  max: 1,
  flags: {},
  async run(call) {
    forwardPorts(createLinux(), JSON.parse(call.positionals[0] as string));
    return new Promise(() => undefined);
  },
};
