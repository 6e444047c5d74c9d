import { connectNetwork } from "../../engine/networks/networkConnect.ts";
import { type Command, given, list, text } from "../Command.ts";

export const command: Command = {
  usage: "[OPTIONS] NETWORK CONTAINER",
  summary: "Put a container into a further network",
  example: "slipway network connect --alias db backend postgres",
  min: 2,
  max: 2,
  flags: {
    alias: { type: "list", help: "Further name of the container in the network" },
    ip: { type: "string", help: "IPv4 address in the network" },
    ip6: { type: "string", help: "IPv6 address in the network" },
    link: { type: "list", help: "", unsupported: "containers of a network find each other by name" },
    "link-local-ip": { type: "list", help: "", unsupported: "a container has one address of a kind in a network" },
    "driver-opt": { type: "list", help: "", unsupported: "there are none for one container" },
    "gw-priority": { type: "int", help: "", unsupported: "the way out is the first network that has one" },
  },
  async run(call) {
    const [network = "", container = ""] = call.positionals;
    await connectNetwork(await call.engine(), container, {
      network,
      aliases: list(call, "alias"),
      ...given("address", text(call, "ip")),
      ...given("address6", text(call, "ip6")),
    });
    return 0;
  },
};
