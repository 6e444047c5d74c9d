import type { CreateOptions } from "../engine/Engine.ts";
import type { NetworkAttachment } from "../engine/networks/networkRecords.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { type Call, flag, given, list, text } from "./Command.ts";
import type { Flag } from "./flags.ts";

/** Flags of `run` and `create` about networks. */
export const networkFlags: Record<string, Flag> = {
  network: {
    type: "list",
    help: "bridge (the default), host, none, pasta, container:NAME or a network; several networks",
  },
  net: { type: "list", help: "The same as --network" },
  "network-alias": { type: "list", help: "Further name of the container in its network" },
  "net-alias": { type: "list", help: "The same as --network-alias" },
  ip: { type: "string", help: "IPv4 address in the network" },
  ip6: { type: "string", help: "IPv6 address in the network" },
  "mac-address": { type: "string", help: "Hardware address in the network" },
  publish: { type: "list", short: "p", help: "Port: [[ADDRESS:]HOST:]CONTAINER[/udp], ranges 8000-8010:80-90" },
  "publish-all": { type: "bool", short: "P", help: "Publish every exposed port at a free port of the host" },
  expose: { type: "list", help: "Port that the container listens at, as EXPOSE names it" },
  dns: { type: "list", help: "Address of a DNS server" },
  "dns-search": { type: "list", help: "Domain to search names in; . for none" },
  "dns-option": { type: "list", help: "Option of /etc/resolv.conf" },
  "dns-opt": { type: "list", help: "The same as --dns-option" },
  hostname: { type: "string", short: "h", help: "Host name of the container" },
  domainname: { type: "string", help: "Domain of the container" },
  "add-host": { type: "list", help: "Line of /etc/hosts, name:address; host-gateway is the host's address" },
  link: { type: "list", help: "", unsupported: "put both containers into one network: they find each other by name" },
};

/** @throws SlipwayError `USAGE` */
export function networkOptions(call: Call): Partial<CreateOptions> & Pick<CreateOptions, "network" | "addHosts"> {
  const networks = [...list(call, "network"), ...list(call, "net")].map(parseNetwork);
  const aliases = [...list(call, "network-alias"), ...list(call, "net-alias")];
  const own = {
    ...given("address", text(call, "ip")),
    ...given("address6", text(call, "ip6")),
    ...given("mac", text(call, "mac-address")?.toLowerCase()),
  };
  const [first = { network: "default", aliases: [] }, ...others] = networks;
  const merged = [{ ...first, ...own, aliases: [...first.aliases, ...aliases] }, ...others];
  const said = networks.length > 0 || aliases.length > 0 || Object.keys(own).length > 0;
  const options = [...list(call, "dns-option"), ...list(call, "dns-opt")];
  return {
    network: first.network,
    ...(said ? { networks: merged } : {}),
    publish: list(call, "publish"),
    publishAll: flag(call, "publish-all"),
    expose: list(call, "expose"),
    dns: list(call, "dns").map(checkServer),
    dnsSearch: list(call, "dns-search"),
    dnsOptions: options,
    addHosts: list(call, "add-host"),
    ...given("hostname", text(call, "hostname")),
    ...given("domainname", text(call, "domainname")),
  };
}

/** `NAME`, or `name=NAME,alias=A,ip=…`: Docker's two ways to write it. */
function parseNetwork(entry: string): NetworkAttachment {
  if (!/^[a-z0-9-]+=/i.test(entry) && !entry.includes(",")) return { network: entry, aliases: [] };
  const found: NetworkAttachment = { network: "", aliases: [] };
  for (const field of entry.split(",")) {
    const equals = field.indexOf("=");
    const [key, value] = [field.slice(0, equals).trim().toLowerCase(), field.slice(equals + 1).trim()];
    if (equals < 0) throw usage(`invalid field ${field} in --network ${entry}`);
    if (key === "name") found.network = value;
    else if (key === "alias") found.aliases.push(value);
    else if (key === "ip") found.address = value;
    else if (key === "ip6") found.address6 = value;
    else if (key === "mac-address") found.mac = value.toLowerCase();
    else
      throw usage(`invalid field key ${key} in --network ${entry}`, "There are name, alias, ip, ip6 and mac-address.");
  }
  if (found.network === "") throw usage(`--network ${entry} names no network`, "For example name=NAME,alias=ALIAS.");
  return found;
}

function checkServer(address: string): string {
  if (/^[0-9.]+$|^[0-9a-fA-F:.]+$/.test(address)) return address;
  throw usage(`${address} is not an ip address`, "--dns takes the address of a server.");
}

function usage(message: string, hint?: string): SlipwayError {
  return new SlipwayError("USAGE", message, { ...(hint === undefined ? {} : { hint }), exitCode: 125 });
}
