import { existsSync } from "node:fs";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import {
  contains,
  formatAddress,
  formatSubnet,
  overlap,
  parseAddress,
  parseSubnet,
  type Subnet,
} from "../../runtime/network/addresses.ts";
import { ensureBridge, refreshFirewall, removeBridge } from "../../runtime/network/endpoints.ts";
import { bridgeRecords } from "../../runtime/network/hostState.ts";
import type { Links } from "../../runtime/network/links.ts";
import { bridgeRefusal } from "../../runtime/network/probeBridge.ts";
import type { ContainerRecord, NetworkRecord } from "../../store/Store.ts";
import { refreshContainer } from "../containers/containerState.ts";
import type { Engine } from "../Engine.ts";
import type { PruneFilters } from "../prune/pruneFilters.ts";
import { bridgeNetwork, freeSubnet, withGateway } from "./bridgeNetwork.ts";
import { leadOut, withLinks } from "./networkAttach.ts";
import { DRIVER_OPTION, deviceOf, isPredefined, runningNetwork } from "./networkRecords.ts";

export interface CreateNetworkOptions {
  name: string;
  driver: string;
  subnets: string[];
  gateways: string[];
  ranges: string[];
  /** Addresses by name that are not given out. */
  reserved: Record<string, string>;
  internal: boolean;
  attachable: boolean;
  ipv6: boolean;
  options: Record<string, string>;
  labels: Record<string, string>;
}

/**
 * Makes a bridge network, its device on the host included: from then on nobody else takes its addresses.
 * @throws SlipwayError `NETWORK_EXISTS`, `INVALID_NETWORK`, `SUBNET_TAKEN`, `BRIDGE_UNUSABLE`
 */
export async function createNetwork(engine: Engine, options: CreateNetworkOptions): Promise<NetworkRecord> {
  const { store } = engine;
  checkOptions(options);
  if (["bridge", "host", "none"].includes(options.name))
    throw new SlipwayError("NETWORK_EXISTS", `operation is not permitted on predefined ${options.name} network`);
  if (store.networks.list().some(({ name }) => name === options.name))
    throw new SlipwayError("NETWORK_EXISTS", `network with name ${options.name} already exists`);
  const refusal = await bridgeRefusal(store.linux);
  if (refusal !== undefined)
    throw new SlipwayError("BRIDGE_UNUSABLE", `this host cannot have a bridge network: ${refusal}`, {
      hint: "It takes root, CAP_NET_ADMIN, and a kernel with bridge, veth and nf_tables. --network host and none need nothing.",
    });
  return withLinks(engine, (links) => {
    sweepBridges(engine, links);
    const record: NetworkRecord = {
      id: Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("hex"),
      name: options.name,
      driver: "bridge",
      created: Date.now(),
      subnets: subnetsOf(engine, links, options),
      internal: options.internal,
      attachable: options.attachable,
      ipv6: options.ipv6 || options.subnets.some((each) => each.includes(":")),
      options: options.options,
      labels: options.labels,
    };
    const device = deviceOf(record);
    if (links.get(device) !== undefined)
      throw new SlipwayError("INVALID_NETWORK", `the host has a device ${device} already`, {
        hint: `Choose another name: -o ${DRIVER_OPTION.name}=…`,
      });
    // Recorded first: a device that no record names could not be found again.
    store.networks.create(record);
    try {
      if (!record.internal) leadOut(store.linux, links);
      ensureBridge(store.linux, links, bridgeNetwork(store, links, record));
      refreshFirewall(store.linux, links);
    } catch (error) {
      store.networks.remove(record.id);
      removeBridge(store.linux, links, device);
      throw error;
    }
    return record;
  });
}

/** @throws SlipwayError `NETWORK_NOT_FOUND`, `NETWORK_IN_USE`, `NETWORK_PREDEFINED` */
export function removeNetwork(engine: Engine, nameOrId: string): NetworkRecord {
  const { store } = engine;
  const record = store.networks.find(nameOrId);
  if (isPredefined(record))
    throw new SlipwayError("NETWORK_PREDEFINED", `${record.name} is a pre-defined network and cannot be removed`);
  const users = containersIn(engine, record);
  if (users.length > 0) {
    const names = users.map(({ container }) => `name:"${container.name}" id:"${container.id.slice(0, 12)}"`);
    throw new SlipwayError("NETWORK_IN_USE", `network ${record.name} has active endpoints (${names.join(", ")})`, {
      hint: `Take the containers out first: slipway network disconnect ${record.name} ${users[0]?.container.name}`,
    });
  }
  withLinks(engine, (links) => {
    // The device first: who is killed in between finds the record, and the next `network rm` no device.
    removeBridge(store.linux, links, deviceOf(record));
    store.networks.remove(record.id);
  });
  return record;
}

/** Removes networks of one's own that no running container is in, as far as the filters let it; their names. */
export function pruneNetworks(
  engine: Engine,
  { before = Number.POSITIVE_INFINITY, matchesLabels }: PruneFilters,
): string[] {
  return engine.store.networks
    .list()
    .filter((record) => !isPredefined(record) && record.created < before && matchesLabels(record.labels))
    .filter((record) => containersIn(engine, record).length === 0)
    .map((record) => removeNetwork(engine, record.id).name);
}

/** Running containers in the network, their states made true first. */
export function containersIn(
  engine: Engine,
  network: NetworkRecord,
): { container: ContainerRecord; endpoint: ReturnType<typeof runningNetwork>["endpoints"][0] }[] {
  return engine.store.containers
    .list()
    .filter((container) => container.network !== undefined)
    .map((container) => refreshContainer(engine, container))
    .flatMap((container) =>
      runningNetwork(container)
        .endpoints.filter((endpoint) => endpoint.network === network.id)
        .map((endpoint) => ({ container, endpoint })),
    );
}

/** `docker network inspect`'s shape. @throws SlipwayError `NETWORK_NOT_FOUND` */
export function inspectNetwork(engine: Engine, nameOrId: string): Record<string, unknown> {
  const { store } = engine;
  const record = store.networks.find(nameOrId);
  const bridge =
    record.driver !== "bridge"
      ? undefined
      : record.name === "bridge"
        ? withLinks(engine, (links) => bridgeNetwork(store, links, record))
        : undefined;
  const subnets = bridge?.subnets ?? record.subnets;
  return {
    Name: record.name,
    Id: record.id,
    Created: new Date(record.created).toISOString(),
    Scope: "local",
    Driver: record.driver,
    EnableIPv4: true,
    EnableIPv6: record.ipv6,
    IPAM: {
      Driver: "default",
      Options: isPredefined(record) ? null : {},
      Config:
        record.driver !== "bridge"
          ? null
          : subnets.map(({ subnet, gateway, range, reserved }) => ({
              Subnet: subnet,
              ...(range === undefined ? {} : { IPRange: range }),
              Gateway: gateway,
              ...(reserved === undefined ? {} : { AuxiliaryAddresses: reserved }),
            })),
    },
    Internal: record.internal,
    Attachable: record.attachable,
    Ingress: false,
    ConfigFrom: { Network: "" },
    ConfigOnly: false,
    Containers: Object.fromEntries(
      containersIn(engine, record).map(({ container, endpoint }) => [
        container.id,
        {
          Name: container.name,
          EndpointID: endpointID(container, record.id),
          MacAddress: endpoint.mac,
          IPv4Address: `${endpoint.address}/${endpoint.prefix}`,
          IPv6Address: endpoint.address6 === undefined ? "" : `${endpoint.address6}/${endpoint.prefix6}`,
        },
      ]),
    ),
    Options:
      bridge === undefined
        ? record.options
        : {
            "com.docker.network.bridge.default_bridge": "true",
            [DRIVER_OPTION.icc]: "true",
            [DRIVER_OPTION.masquerade]: "true",
            [DRIVER_OPTION.hostAddress]: "0.0.0.0",
            [DRIVER_OPTION.name]: bridge.device,
          },
    Labels: record.labels,
  };
}

/** Of one container in one network, for one run of it. */
export function endpointID(container: ContainerRecord, network: string): string {
  return Bun.SHA256.hash(`${container.id} ${network} ${container.started}`, "hex");
}

function checkOptions(options: CreateNetworkOptions): void {
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(options.name))
    throw invalid(`invalid network name ${JSON.stringify(options.name)}, only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`);
  if (["default", "container"].includes(options.name))
    throw invalid(`operation is not permitted on predefined ${options.name} network`);
  if (options.driver !== "bridge")
    throw invalid(`the network driver ${JSON.stringify(options.driver)} is not supported`, "There is bridge.");
  const device = options.options[DRIVER_OPTION.name];
  if (device !== undefined && !/^[a-zA-Z0-9_.-]{1,15}$/.test(device))
    throw invalid(`invalid name of a device: ${device}`, "It has at most 15 letters, digits and - _ .");
}

function subnetsOf(engine: Engine, links: Links, options: CreateNetworkOptions): NetworkRecord["subnets"] {
  const { store } = engine;
  const given = options.subnets.map(
    (text) => parseSubnet(text) ?? fail(`invalid subnet ${text}: invalid CIDR block notation`),
  );
  for (const family of [4, 6] as const) {
    if (given.filter((each) => each.family === family).length > 1)
      throw invalid(`a network has one IPv${family} subnet, not several`);
  }
  const others = store.networks
    .list()
    .flatMap(({ subnets }) => subnets.map(({ subnet }) => parseSubnet(subnet) as Subnet));
  for (const each of given) {
    if (others.some((other) => overlap(other, each)))
      throw new SlipwayError("SUBNET_TAKEN", "Pool overlaps with other one on this address space", {
        hint: "slipway network ls and inspect show which networks there are.",
      });
    if (each.family === 4 && each.prefix > 30)
      throw invalid(`the subnet ${formatSubnet(each)} has no room for a container`);
  }
  const four = given.find(({ family }) => family === 4) ?? freeSubnet(store, links);
  const six = given.find(({ family }) => family === 6) ?? (options.ipv6 ? randomSubnet() : undefined);
  const all = six === undefined ? [four] : [four, six];
  const own = <T extends { address: bigint; family: 4 | 6 }>(texts: string[], parse: (text: string) => T | undefined) =>
    texts.map((text) => {
      const parsed = parse(text) ?? fail(`invalid address ${text}`);
      const subnet = all.find((each) => contains(each, parsed));
      if (subnet === undefined)
        throw invalid(`no matching subnet for ${text}`, `The network has ${all.map(formatSubnet).join(", ")}.`);
      return { subnet, parsed };
    });
  const gateways = own(options.gateways, parseAddress);
  const ranges = own(options.ranges, parseSubnet);
  const reserved = own(Object.values(options.reserved), parseAddress);
  return all.map((subnet) => {
    const gateway = gateways.find((each) => each.subnet === subnet)?.parsed;
    const range = ranges.find((each) => each.subnet === subnet)?.parsed;
    const kept = Object.keys(options.reserved).filter((_, at) => reserved[at]?.subnet === subnet);
    return {
      ...withGateway(subnet),
      ...(gateway === undefined ? {} : { gateway: formatAddress(gateway.address, gateway.family) }),
      ...(range === undefined ? {} : { range: formatSubnet(range) }),
      ...(kept.length === 0
        ? {}
        : { reserved: Object.fromEntries(kept.map((name) => [name, options.reserved[name] as string])) }),
    };
  });
}

/** A network of the kind that is nobody else's, RFC 4193. */
function randomSubnet(): Subnet {
  const bytes = crypto.getRandomValues(new Uint8Array(7));
  return {
    address: (0xfdn << 120n) | (BigInt(`0x${Buffer.from(bytes).toString("hex")}`) << 64n),
    family: 6,
    prefix: 64,
  };
}

/** Takes away bridges whose store was deleted without a `network rm`. */
function sweepBridges(engine: Engine, links: Links): void {
  for (const [device, { root }] of bridgeRecords().all()) {
    if (root !== undefined && !existsSync(root)) removeBridge(engine.store.linux, links, device);
  }
}

function fail(message: string): never {
  throw invalid(message);
}

function invalid(message: string, hint?: string): SlipwayError {
  return new SlipwayError("INVALID_NETWORK", message, hint === undefined ? {} : { hint });
}
