import { createNetwork } from "../../engine/networks/networks.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { type Command, flag, keyValue, list, text } from "../Command.ts";

export const command: Command = {
  usage: "[OPTIONS] NETWORK",
  summary: "Create a network whose containers find each other by name",
  example: "slipway network create --subnet 10.20.0.0/24 backend",
  min: 1,
  max: 1,
  flags: {
    driver: { type: "string", short: "d", help: "bridge, which is the default" },
    subnet: { type: "list", help: "Its addresses: 10.20.0.0/24; a second one for IPv6" },
    gateway: { type: "list", help: "The host's address in it; the first one where not said" },
    "ip-range": { type: "list", help: "Part of the subnet that containers get addresses of" },
    "aux-address": { type: "list", help: "Address that no container gets, NAME=ADDRESS" },
    internal: { type: "bool", help: "No way out, and no way in but from the host" },
    attachable: { type: "bool", help: "Accepted: every network is" },
    ipv6: { type: "bool", help: "IPv6 addresses, too" },
    ipv4: { type: "bool", help: "Accepted: every network has IPv4 addresses" },
    label: { type: "list", help: "Label, KEY=VALUE" },
    opt: { type: "list", short: "o", help: "Option of the driver, KEY=VALUE" },
    scope: { type: "string", help: "", unsupported: "networks are of one host" },
    ingress: { type: "bool", help: "", unsupported: "networks are of one host" },
    "config-only": { type: "bool", help: "", unsupported: "networks are of one host" },
    "config-from": { type: "string", help: "", unsupported: "networks are of one host" },
    "ipam-driver": { type: "string", help: "", unsupported: "slipway gives out addresses itself" },
    "ipam-opt": { type: "list", help: "", unsupported: "slipway gives out addresses itself" },
  },
  async run(call) {
    if (call.values.ipv4 === false)
      throw new SlipwayError("USAGE", "--ipv4=false is not supported: every network has IPv4 addresses");
    const options = Object.fromEntries(list(call, "opt").map(keyValue));
    const record = await createNetwork(await call.engine(), {
      name: call.positionals[0] as string,
      driver: text(call, "driver") ?? "bridge",
      subnets: list(call, "subnet"),
      gateways: list(call, "gateway"),
      ranges: list(call, "ip-range"),
      reserved: Object.fromEntries(list(call, "aux-address").map(keyValue)),
      internal: flag(call, "internal"),
      attachable: flag(call, "attachable"),
      ipv6: flag(call, "ipv6"),
      options,
      labels: Object.fromEntries(list(call, "label").map(keyValue)),
    });
    call.out(`${record.id}\n`);
    return 0;
  },
};
