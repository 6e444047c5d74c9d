import type { Linux } from "../../linux/Linux.ts";
import { addressBytes, networkOf, parseAddress, type Subnet, width } from "./addresses.ts";
import {
  accept,
  type Chain,
  device,
  drop,
  type Expression,
  inNetwork,
  masquerade,
  ofFamily,
  ofKnownConnection,
  ofPublishedPort,
  openNftables,
  sendTo,
  toLocalAddress,
  toPorts,
  notToLoopback6,
} from "./nftables.ts";

export interface FirewallBridge {
  /** Name of its device. */
  device: string;
  subnets: Subnet[];
  /** Nothing goes out of it and nothing comes in but from the host itself. */
  internal: boolean;
  /** Whether what goes out has the host's address. */
  masquerade: boolean;
  /** Of an internal one: who may ask its DNS server. A server that does not know who asks may pass the question on. */
  askers?: string[];
}

/** Ports of the host that lead to a container. */
export interface PublishedPorts {
  protocol: "tcp" | "udp" | "sctp";
  /** Address of the host; undefined: all of them. */
  hostAddress?: string;
  first: number;
  last: number;
  /** Address of the container. */
  address: string;
  /** Where `first` leads; the next one to the next. */
  port: number;
}

export interface FirewallState {
  bridges: FirewallBridge[];
  ports: PublishedPorts[];
}

const TABLE = "slipway";
/** Below NAT, above everything that other tables do: before any connection is known. */
const PRIORITY = { raw: -300, dstnat: -100, filter: 0, srcnat: 100 };

/**
 * Makes the table of the namespace (undefined: the calling thread's) what `state` says, in one step; nothing is done where it is that already. The state is kept as a digest beside the
 * table itself, so whoever flushed all tables is noticed. @throws LinuxError where the kernel has no nf_tables
 */
export function applyFirewall(linux: Linux, state: FirewallState, namespace?: number): void {
  const nftables = openNftables(linux, namespace);
  try {
    const note = noteOf(state);
    if (nftables.tableNote(TABLE) !== note) nftables.replaceTable(TABLE, chainsOf(state), note);
  } finally {
    nftables.close();
  }
}

export function removeFirewall(linux: Linux, namespace?: number): void {
  const nftables = openNftables(linux, namespace);
  try {
    nftables.removeTable(TABLE);
  } finally {
    nftables.close();
  }
}

const FORM = 3; // of the rules that follow from a state

function noteOf(state: FirewallState): string {
  const text = JSON.stringify(state, (_, value) => (typeof value === "bigint" ? value.toString() : value));
  return `${FORM} ${Bun.SHA256.hash(text, "hex")}`;
}

function chainsOf({ bridges, ports }: FirewallState): Chain[] {
  const published = ports.flatMap(publishRules);
  return [
    {
      // The loopback is reachable by way of the bridge for the sake of published ports: for nobody else.
      name: "guard",
      type: "filter",
      hook: "prerouting",
      priority: PRIORITY.raw,
      rules: bridges.flatMap((bridge) => [
        [...device("iifname", bridge.device), ...inLoopback("destination"), ...drop],
        ...(bridge.internal ? askerRules(bridge) : []),
      ]),
    },
    {
      name: "prerouting",
      type: "nat",
      hook: "prerouting",
      priority: PRIORITY.dstnat,
      rules: published,
    },
    { name: "output", type: "nat", hook: "output", priority: PRIORITY.dstnat, rules: published },
    {
      name: "forward",
      type: "filter",
      hook: "forward",
      priority: PRIORITY.filter,
      rules: [
        ...bridges.filter((bridge) => bridge.internal).flatMap(internalRules),
        [...ofKnownConnection(), ...accept],
        ...bridges.filter((bridge) => !bridge.internal).flatMap(forwardRules),
      ],
    },
    {
      name: "postrouting",
      type: "nat",
      hook: "postrouting",
      priority: PRIORITY.srcnat,
      rules: bridges.flatMap(sourceRules),
    },
  ];
}

/** One rule for a range that keeps its numbers, else one a port. */
function publishRules({ protocol, hostAddress, first, last, address, port }: PublishedPorts): Expression[][] {
  const target = parseAddress(address);
  const host = hostAddress === undefined ? undefined : parseAddress(hostAddress);
  if (target === undefined) throw new Error(`published to ${address}`);
  const { family } = target;
  if (host !== undefined && host.family !== family) return [];
  const bytes = addressBytes(target.address, family);
  // The kernel sends nothing from IPv6's loopback to another device, whatever becomes of its addresses.
  const notLoopback = family === 6 ? notToLoopback6() : [];
  const to = host === undefined ? [...ofFamily(family), ...toLocalAddress(), ...notLoopback] : ofHost(host);
  if (first === port || first === last) {
    return [[...to, ...toPorts(protocol, first, last), ...sendTo(family, bytes, first === port ? undefined : port)]];
  }
  return Array.from({ length: last - first + 1 }, (_, at) => [
    ...to,
    ...toPorts(protocol, first + at, first + at),
    ...sendTo(family, bytes, port + at),
  ]);
}

function ofHost({ address, family }: { address: bigint; family: 4 | 6 }): Expression[] {
  const bytes = addressBytes(address, family);
  return inNetwork("destination", family, bytes, new Uint8Array(bytes.length).fill(255));
}

/** Questions by an address that the DNS server was not told of end here, whoever put it on. */
function askerRules({ device: name, askers = [] }: FirewallBridge): Expression[][] {
  return (["udp", "tcp"] as const).flatMap((protocol) => {
    const asks = [...device("iifname", name), ...toPorts(protocol, 53, 53)];
    const known = askers.flatMap((asker) => {
      const parsed = parseAddress(asker);
      if (parsed === undefined) return [];
      const bytes = addressBytes(parsed.address, parsed.family);
      const mask = new Uint8Array(bytes.length).fill(255);
      return [[...inNetwork("source", parsed.family, bytes, mask), ...asks, ...accept]];
    });
    return [...known, [...asks, ...drop]];
  });
}

function internalRules(bridge: FirewallBridge): Expression[][] {
  const [inside, outside] = ["eq", "ne"] as const;
  return [
    [...device("iifname", bridge.device, inside), ...device("oifname", bridge.device, outside), ...drop],
    [...device("oifname", bridge.device, inside), ...device("iifname", bridge.device, outside), ...drop],
  ];
}

/** From outside, other bridges among it, only what was published is reached. */
function forwardRules(bridge: FirewallBridge): Expression[][] {
  const out = device("oifname", bridge.device);
  return [
    [...out, ...device("iifname", bridge.device), ...accept],
    [...out, ...ofPublishedPort(), ...accept],
    [...out, ...drop],
  ];
}

function sourceRules(bridge: FirewallBridge): Expression[][] {
  const out = device("oifname", bridge.device);
  const rules: Expression[][] = [[...out, ...inLoopback("source"), ...masquerade]];
  for (const subnet of bridge.subnets) {
    const inside = inNetwork("source", subnet.family, networkBytes(subnet), maskBytes(subnet));
    // A container that reaches its own network by a published port must get its answers the same way back.
    rules.push([...inside, ...out, ...ofPublishedPort(), ...masquerade]);
    if (bridge.masquerade && !bridge.internal)
      rules.push([...inside, ...device("oifname", bridge.device, "ne"), ...masquerade]);
  }
  return rules;
}

function inLoopback(which: "source" | "destination"): Expression[] {
  return inNetwork(which, 4, Uint8Array.of(127, 0, 0, 0), Uint8Array.of(255, 0, 0, 0));
}

function networkBytes(subnet: Subnet): Uint8Array {
  return addressBytes(networkOf(subnet), subnet.family);
}

function maskBytes({ family, prefix }: Subnet): Uint8Array {
  const bits = BigInt(width(family));
  return addressBytes(((1n << bits) - 1n) ^ ((1n << (bits - BigInt(prefix))) - 1n), family);
}
