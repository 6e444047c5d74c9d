import type { Linux } from "../../linux/Linux.ts";
import { dnsClients } from "./dns.ts";
import { isErrno } from "../../linux/LinuxError.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import {
  contains,
  formatAddress,
  formatSubnet,
  lastOf,
  networkOf,
  overlap,
  parseAddress,
  parseSubnet,
  type Subnet,
} from "./addresses.ts";
import { applyFirewall, type FirewallState } from "./firewall.ts";
import { passForeignFirewall } from "./foreignFirewall.ts";
import { type BridgeRecord, bridgeRecords, portsRecords } from "./hostState.ts";
import { type Link, type Links, openLinks } from "./links.ts";
import { setNetworkSettings } from "./namespaces.ts";
import { formatMac, macOf, parseMac, vethName } from "./veth.ts";

/** A bridge network, ready to have containers. */
export interface BridgeNetwork {
  /** As the person knows it. */
  name: string;
  device: string;
  /** The first is IPv4, a second one IPv6. */
  subnets: { subnet: string; gateway: string; range?: string; reserved?: string[] }[];
  internal: boolean;
  masquerade: boolean;
  /** Its containers cannot reach each other. */
  isolated: boolean;
  /** Undefined: that of the host's default route. */
  mtu?: number;
  /** The store whose it is. */
  root?: string;
}

export interface EndpointRequest {
  network: BridgeNetwork;
  container: string;
  /** In the container: `eth0`. */
  interface: string;
  address?: string;
  address6?: string;
  mac?: string;
  /** Whether what is not in one of its networks goes out here. */
  defaultRoute: boolean;
}

/** A container in a network. */
export interface Endpoint {
  device: string;
  veth: string;
  interface: string;
  address: string;
  prefix: number;
  gateway: string;
  address6?: string;
  prefix6?: number;
  gateway6?: string;
  mac: string;
}

/** Makes the bridge where it is not there; what is there is as it was made. Under the network lock. @throws SlipwayError `SUBNET_TAKEN` */
export function ensureBridge(linux: Linux, links: Links, network: BridgeNetwork): Link {
  const found = links.get(network.device);
  const known = bridgeRecords();
  if (found !== undefined && known.get(network.device) !== undefined) return found;
  const gateways = network.subnets.map(({ subnet, gateway }) => `${gateway}/${subnet.split("/")[1]}`);
  const own = gateways.map((gateway) => parseSubnet(gateway) as Subnet);
  if (found === undefined) {
    const taken = links.addresses().find(({ subnet }) => own.some((each) => overlap(each, subnet)));
    if (taken !== undefined) {
      throw new SlipwayError(
        "SUBNET_TAKEN",
        `the subnet ${network.subnets.map(({ subnet }) => subnet).join(", ")} of the network ${network.name} overlaps with ${formatSubnet(taken.subnet)}, which the host has on another device`,
        { hint: "Give the network another one: slipway network create --subnet …", exitCode: 125 },
      );
    }
  }
  const [first] = own as [Subnet];
  const bridge =
    found ??
    links.addBridge(network.device, {
      alias: `slipway ${network.name}`,
      mtu: network.mtu ?? defaultMtu(links),
      mac: macOf(first.address),
    });
  const six = own.some(({ family }) => family === 6);
  if (!six) setNetworkSettings(linux, { [`ipv6/conf/${network.device}/disable_ipv6`]: "1" }, links.namespace);
  for (const address of own) links.addAddress(bridge.index, address);
  // What comes to the host's loopback at a published port is sent on by the bridge; the firewall lets nothing the other way.
  setNetworkSettings(linux, { [`ipv4/conf/${network.device}/route_localnet`]: "1" }, links.namespace);
  if (!network.internal) {
    const forwarding = { "ipv4/ip_forward": "1", ...(six ? { "ipv6/conf/all/forwarding": "1" } : {}) };
    setNetworkSettings(linux, forwarding, links.namespace);
  }
  const record: BridgeRecord = {
    device: network.device,
    gateways,
    internal: network.internal,
    masquerade: network.masquerade,
    ...(network.root === undefined ? {} : { root: network.root }),
  };
  known.set(network.device, record);
  return bridge;
}

/** Takes the bridge away, with what is still on it. Under the network lock. */
export function removeBridge(linux: Linux, links: Links, device: string): void {
  const found = links.get(device);
  if (found !== undefined) links.remove(found.index);
  bridgeRecords().remove(device);
  refreshFirewall(linux, links);
}

/**
 * Puts the network namespace into the network: an address of its own, reached by all others of the network when this returns. Under the network lock.
 * @throws SlipwayError `ADDRESS_TAKEN`, `ADDRESSES_EXHAUSTED`, `INVALID_ADDRESS`
 */
export function addEndpoint(linux: Linux, links: Links, namespace: number, request: EndpointRequest): Endpoint {
  const { network, container } = request;
  const bridge = ensureBridge(linux, links, network);
  const [four, six] = network.subnets as [BridgeNetwork["subnets"][0], BridgeNetwork["subnets"][0] | undefined];
  const subnet = parseSubnet(four.subnet) as Subnet;
  const taken = links.list();
  const names = new Set(taken.map((link) => link.name));
  for (const address of candidates(network, request.address)) {
    const text = formatAddress(address, 4);
    const veth = vethName(text);
    if (names.has(veth)) {
      if (request.address === undefined) continue;
      throw addressTaken(text, taken.find((link) => link.name === veth)?.alias.split(" ")[0] === container);
    }
    const mac = request.mac === undefined ? macOf(address) : (parseMac(request.mac) as Uint8Array);
    const second = six === undefined ? undefined : sixth(six, address - networkOf(subnet), request.address6, taken);
    try {
      links.addVeth({
        name: veth,
        alias: [container, second === undefined ? "" : formatAddress(second.address, 6)].join(" ").trim(),
        bridge: bridge.index,
        mtu: bridge.mtu,
        isolated: network.isolated,
        peer: { namespace, name: request.interface, mac },
      });
    } catch (error) {
      if (isErrno(error, "EEXIST") && request.address === undefined) continue; // whose namespace is not this host's first one
      throw error;
    }
    const endpoint: Endpoint = {
      device: network.device,
      veth,
      interface: request.interface,
      address: text,
      prefix: subnet.prefix,
      gateway: four.gateway,
      ...(second === undefined || six === undefined
        ? {}
        : { address6: formatAddress(second.address, 6), prefix6: second.prefix, gateway6: six.gateway }),
      mac: formatMac(mac),
    };
    // Without an address of its own there, IPv6 would only make the container wait for answers.
    if (second === undefined)
      setNetworkSettings(linux, { [`ipv6/conf/${request.interface}/disable_ipv6`]: "1" }, namespace);
    usingLinksInside(linux, namespace, (inside) => configure(inside, endpoint, request));
    return endpoint;
  }
  throw new SlipwayError("ADDRESSES_EXHAUSTED", `the network ${network.name} has no address left in ${four.subnet}`, {
    hint: "Remove containers, or create a network with a larger --subnet.",
    exitCode: 125,
  });
}

/** Takes the container out of the network at once. */
export function removeEndpoint(links: Links, endpoint: Endpoint): void {
  const found = links.get(endpoint.veth);
  if (found !== undefined) links.remove(found.index);
}

/** Lets what does not belong to one of its networks go out by this endpoint from now on. */
export function setDefaultRoute(linux: Linux, namespace: number, endpoint: Endpoint): void {
  usingLinksInside(linux, namespace, (inside) => {
    const device = inside.get(endpoint.interface);
    if (device !== undefined) addRoutes(inside, device.index, endpoint);
  });
}

function usingLinksInside(linux: Linux, namespace: number, work: (inside: Links) => void): void {
  const links = openLinks(linux, namespace);
  try {
    work(links);
  } finally {
    links.close();
  }
}

function configure(inside: Links, endpoint: Endpoint, request: EndpointRequest): void {
  const device = inside.get(endpoint.interface) as Link;
  inside.addAddress(device.index, parseSubnet(`${endpoint.address}/${endpoint.prefix}`) as Subnet);
  if (endpoint.address6 !== undefined)
    inside.addAddress(device.index, parseSubnet(`${endpoint.address6}/${endpoint.prefix6}`) as Subnet);
  inside.setUp(device.index);
  if (request.defaultRoute) addRoutes(inside, device.index, endpoint);
}

function addRoutes(inside: Links, index: number, endpoint: Endpoint): void {
  for (const gateway of [endpoint.gateway, endpoint.gateway6]) {
    const parsed = gateway === undefined ? undefined : parseAddress(gateway);
    if (parsed !== undefined) inside.addDefaultRoute(index, parsed);
  }
}

/** Addresses to try, lowest first: all of the range but those that mean something else. */
function* candidates(network: BridgeNetwork, wanted: string | undefined): Generator<bigint> {
  const [{ subnet, gateway, range, reserved = [] }] = network.subnets as [BridgeNetwork["subnets"][0]];
  const whole = parseSubnet(subnet) as Subnet;
  const [first, last] = [networkOf(whole), lastOf(whole)];
  const others = new Set([gateway, ...reserved].map((each) => parseAddress(each)?.address));
  if (wanted !== undefined) {
    const parsed = parseAddress(wanted);
    if (parsed === undefined || !contains(whole, parsed) || parsed.address === first || parsed.address === last)
      throw invalidAddress(wanted, `no configured subnet contains IP address ${wanted}`);
    if (others.has(parsed.address)) throw addressTaken(wanted, false);
    yield parsed.address;
    return;
  }
  const from = parseSubnet(range ?? subnet) as Subnet;
  for (let address = networkOf(from); address <= lastOf(from); address++) {
    if (address !== first && address !== last && !others.has(address)) yield address;
  }
}

/** The IPv6 address beside an IPv4 one: the same place in the network, unless somebody asked for just that. */
function sixth(
  { subnet, gateway }: { subnet: string; gateway: string },
  place: bigint,
  wanted: string | undefined,
  taken: readonly Link[],
): Subnet {
  const whole = parseSubnet(subnet) as Subnet;
  const others = new Set(taken.map((link) => link.alias.split(" ")[1]));
  if (wanted !== undefined) {
    const parsed = parseAddress(wanted);
    if (parsed === undefined || !contains(whole, parsed))
      throw invalidAddress(wanted, `no configured subnet contains IP address ${wanted}`);
    const text = formatAddress(parsed.address, 6);
    if (others.has(text) || text === gateway) throw addressTaken(text, false);
    return { ...whole, address: parsed.address };
  }
  for (let address = networkOf(whole) + place; address <= lastOf(whole); address++) {
    const text = formatAddress(address, 6);
    if (text !== gateway && !others.has(text)) return { ...whole, address };
  }
  throw invalidAddress(subnet, `the subnet ${subnet} has fewer addresses than the network's IPv4 subnet`);
}

/** `own`: by the same container's former run, whose namespace the kernel is still winding up. */
function addressTaken(address: string, own: boolean): SlipwayError {
  return new SlipwayError(own ? "ADDRESS_LEAVING" : "ADDRESS_TAKEN", `the address ${address} is already in use`, {
    hint: "Choose another one, or leave the choice to slipway.",
    exitCode: 125,
  });
}

function invalidAddress(address: string, message: string): SlipwayError {
  return new SlipwayError("INVALID_ADDRESS", message, {
    hint: `Is ${address} in the network's --subnet?`,
    exitCode: 125,
  });
}

/** That of the way out: what is larger would be cut up, or get lost where nobody may say so. */
function defaultMtu(links: Links): number {
  const index = links.defaultDevice();
  return links.list().find((link) => link.index === index)?.mtu ?? 1500;
}

/**
 * Makes the firewall what the devices and records say: the bridges that are there, the ports of containers that still have their address. Forgets
 * the records of what is gone. Under the network lock.
 */
export function refreshFirewall(linux: Linux, links: Links): void {
  const names = new Set(links.list().map((link) => link.name));
  const bridges = bridgeRecords();
  const ports = portsRecords();
  const live = bridges.all().filter(([device]) => {
    if (names.has(device)) return true;
    bridges.remove(device);
    return false;
  });
  const published = ports.all().filter(([container, { veth }]) => {
    if (names.has(veth)) return true;
    ports.remove(container);
    return false;
  });
  const state: FirewallState = {
    bridges: live.map(([, { device, gateways, internal, masquerade }]) => ({
      device,
      internal,
      masquerade,
      ...(internal ? { askers: dnsClients(device) } : {}),
      subnets: gateways.map((each) => {
        const subnet = parseSubnet(each) as Subnet;
        return { ...subnet, address: networkOf(subnet) };
      }),
    })),
    ports: published.flatMap(([, record]) => record.ports),
  };
  applyFirewall(linux, state, links.namespace);
  passForeignFirewall(
    linux,
    live.map(([device]) => device),
    links.namespace,
  );
}

/** Whether the host has a route to some of these addresses. */
export function isRouted(links: Links, subnet: Subnet): boolean {
  return (
    links.routes().some((each) => each.prefix > 0 && overlap(each, subnet)) ||
    links.addresses().some((each) => overlap(each.subnet, subnet))
  );
}
