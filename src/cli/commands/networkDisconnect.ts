import { disconnectNetwork } from "../../engine/networks/networkConnect.ts";
import type { Command } from "../Command.ts";

export const command: Command = {
  usage: "[OPTIONS] NETWORK CONTAINER",
  summary: "Take a container out of a network",
  example: "slipway network disconnect backend web",
  min: 2,
  max: 2,
  flags: { force: { type: "bool", short: "f", help: "Accepted: it is always taken out at once" } },
  async run(call) {
    const [network = "", container = ""] = call.positionals;
    await disconnectNetwork(await call.engine(), container, network);
    return 0;
  },
};
