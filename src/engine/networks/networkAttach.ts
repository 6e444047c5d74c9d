import type { Linux } from "../../linux/Linux.ts";
import { isErrno } from "../../linux/LinuxError.ts";
import { AT_FDCWD, O_RDONLY } from "../../linux/constants.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { addressBytes, parseAddress } from "../../runtime/network/addresses.ts";
import { addDnsEntry, removeDnsEntries, requireDnsServer } from "../../runtime/network/dns.ts";
import { untilResolved } from "../../runtime/network/dnsQuery.ts";
import { addEndpoint, refreshFirewall, removeEndpoint } from "../../runtime/network/endpoints.ts";
import type { ForwardedPort } from "../../runtime/network/forwardPorts.ts";
import type { PublishedPorts } from "../../runtime/network/firewall.ts";
import { portsRecords, withNetworkLock } from "../../runtime/network/hostState.ts";
import { type Links, openLinks } from "../../runtime/network/links.ts";
import { bridgeNamespacePath, openBridgeNamespace } from "../../runtime/network/bridgeNamespace.ts";
import { ensureWayOut, hostAddress, serversByWayOut } from "../../runtime/network/wayOut.ts";
import { createNetworkNamespace, setNetworkSettings } from "../../runtime/network/namespaces.ts";
import type { DnsOptions } from "../../runtime/networkFiles.ts";
import type { ContainerRecord, NetworkRecord } from "../../store/Store.ts";
import { type ContainerOptions, containerOptions } from "../containers/ContainerOptions.ts";
import { refreshContainer } from "../containers/containerState.ts";
import type { Engine } from "../Engine.ts";
import { startForwarding } from "./forwardCommand.ts";
import { hostPortText, type PortBinding, type PortRequest, portRequests } from "./networkPorts.ts";
import { bridgeNetwork } from "./bridgeNetwork.ts";
import type { ContainerNetwork } from "./containerNetwork.ts";
import {
  DRIVER_OPTION,
  deviceOf,
  hasDns,
  type NetworkAttachment,
  type RunningEndpoint,
  runningNetwork,
} from "./networkRecords.ts";

/** How long a port or address may take to be let go by a container that has just ended. */
const PATIENCE_MS = 1500;

/**
 * A namespace with an address in each of the container's networks, its ports of the host. All of it goes by itself when its last process ends, but
 * for what `releaseNetwork` takes away.
 * @throws SlipwayError `PORT_IN_USE`, `NETWORK_NOT_FOUND`, `DNS_MISSING`, and what `addEndpoint` throws
 */
export async function openBridges(
  engine: Engine,
  record: ContainerRecord,
  options: ContainerOptions,
): Promise<ContainerNetwork> {
  const { store } = engine;
  const { linux } = store;
  const attachments = (options.networks ?? []).map((attachment) => ({
    attachment,
    network: store.networks.find(attachment.network),
  }));
  if (attachments.some(({ network }) => hasDns(network))) requireDnsServer();
  const way = attachments.find(({ network }) => !network.internal);
  const held = await holdPorts(engine, record, options, (way ?? attachments[0])?.network);
  let namespace = -1;
  const close = (): void => {
    for (const fd of held.fds) linux.close(fd);
    held.fds.length = 0;
    if (namespace >= 0) linux.close(namespace);
    namespace = -1;
  };
  try {
    namespace = containerNamespace(linux);
    const endpoints: RunningEndpoint[] = [];
    for (const [at, { attachment, network }] of attachments.entries()) {
      endpoints.push(
        await joinNetwork(engine, record, {
          namespace,
          network,
          attachment,
          interface: `eth${at}`,
          defaultRoute: way?.network === network,
        }),
      );
    }
    const target = endpoints.find(({ network }) => network === way?.network.id) ?? (endpoints[0] as RunningEndpoint);
    const isForwarded = bridgeNamespacePath() !== undefined;
    const bindings =
      target.address6 === undefined && !isForwarded ? held.bindings.filter((each) => !isSix(each)) : held.bindings;
    if (isForwarded) held.fds = forward(linux, target, held);
    else publish(engine, record, target, bindings);
    return {
      spec: { path: `/proc/${process.pid}/fd/${namespace}` },
      files: {
        ownHosts: false,
        addresses: endpoints.flatMap(({ address, address6 }) =>
          address6 === undefined ? [address] : [address, address6],
        ),
        hostGateway: hostGatewayOf(linux, target),
        dns: dnsOptionsOf(engine, options, endpoints),
      },
      fds: held.fds,
      running: { endpoints, ports: bindings },
      close,
    };
  } catch (error) {
    close();
    releaseNetwork(engine, record.id);
    throw error;
  }
}

/** A network namespace with nothing in it but the loopback. */
export function containerNamespace(linux: Linux): number {
  const namespace = createNetworkNamespace(linux);
  const links = openLinks(linux, namespace);
  links.setUp(1); // the loopback
  links.close();
  // Docker's: a port below 1024 and an echo request are no privilege in a network of one's own.
  const settings = { "ipv4/ip_unprivileged_port_start": "0", "ipv4/ping_group_range": "0 2147483647" };
  setNetworkSettings(linux, settings, namespace);
  return namespace;
}

/**
 * What a container in these networks has in its /etc/resolv.conf: the servers of networks that know names; they ask those of `--dns`. Each knows
 * the names of all of the container's networks; those of an internal one, which know nothing else, come last.
 */
export function dnsOptionsOf(
  engine: Engine,
  options: ContainerOptions,
  endpoints: readonly RunningEndpoint[],
): DnsOptions {
  const networks = new Map(engine.store.networks.list().map((each) => [each.id, each]));
  const named = endpoints.flatMap(({ network, gateway }) => {
    const found = networks.get(network);
    return found !== undefined && hasDns(found) ? { gateway, internal: found.internal } : [];
  });
  const servers = named.toSorted((a, b) => Number(a.internal) - Number(b.internal)).map(({ gateway }) => gateway);
  return {
    servers: servers.length > 0 ? servers : serversOf(options),
    search: options.dnsSearch ?? [],
    options: options.dnsOptions ?? [],
    containerNames: servers.length > 0,
  };
}

export interface JoinOptions {
  namespace: number;
  network: NetworkRecord;
  attachment: NetworkAttachment;
  interface: string;
  defaultRoute: boolean;
}

/** Puts the namespace of a container into one network, where its names are known from then on. */
export async function joinNetwork(
  engine: Engine,
  record: ContainerRecord,
  options: JoinOptions,
): Promise<RunningEndpoint> {
  const { store } = engine;
  const { linux } = store;
  const { network, attachment } = options;
  const join = (): RunningEndpoint =>
    withLinks(engine, (links) => {
      if (!network.internal) leadOut(linux, links);
      const endpoint = addEndpoint(linux, links, options.namespace, {
        network: bridgeNetwork(store, links, network),
        container: record.id,
        interface: options.interface,
        defaultRoute: options.defaultRoute,
        ...(attachment.address === undefined ? {} : { address: attachment.address }),
        ...(attachment.address6 === undefined ? {} : { address6: attachment.address6 }),
        ...(attachment.mac === undefined ? {} : { mac: attachment.mac }),
      });
      if (hasDns(network)) {
        const entry = {
          container: record.id,
          address: endpoint.address,
          ...(endpoint.address6 === undefined ? {} : { address6: endpoint.address6 }),
          names: [...new Set([record.name, ...attachment.aliases, record.id.slice(0, 12)])],
          servers: serversOf(containerOptions(record)),
        };
        const gateways = network.subnets.map(({ gateway }) => gateway);
        addDnsEntry({ device: deviceOf(network), gateways, internal: network.internal }, entry, links.list());
      }
      refreshFirewall(linux, links);
      return { ...endpoint, network: network.id };
    });
  for (const end = Date.now() + PATIENCE_MS; ; await Bun.sleep(10)) {
    try {
      const endpoint = join();
      // By its ID: a name may be another container's, too.
      if (hasDns(network)) await untilResolved(linux, endpoint.gateway, record.id.slice(0, 12), endpoint.address);
      return endpoint;
    } catch (error) {
      if (!(error instanceof SlipwayError && error.code === "ADDRESS_LEAVING" && Date.now() < end)) throw error;
    }
  }
}

/** Sees to it that a plain user's bridges have a way out; root's have. */
export function leadOut(linux: Linux, links: Links): void {
  if (links.namespace === undefined) return;
  ensureWayOut(linux);
}

/** Servers that are asked for what is no container's name; none: the host's. */
export function serversOf({ dns = [] }: Pick<ContainerOptions, "dns">): string[] {
  if (dns.length > 0 || bridgeNamespacePath() === undefined) return dns;
  return serversByWayOut();
}

/** What `host-gateway` means: root's bridges have the host's address in them, a plain user's are reached by none of the host's. */
export function hostGatewayOf(linux: Linux, { gateway }: { gateway: string }): string {
  if (bridgeNamespacePath() === undefined) return gateway;
  return hostAddress(linux) ?? gateway;
}

/** Takes a running container out of one network. */
export function leaveNetwork(engine: Engine, record: ContainerRecord, endpoint: RunningEndpoint): void {
  withLinks(engine, (links) => {
    removeEndpoint(links, endpoint);
    const left = links.list();
    removeDnsEntries(record.id, left, [endpoint.device]);
    refreshFirewall(engine.store.linux, links);
  });
}

/** Takes away what does not go by itself with a container's last process: its ports in the firewall, its names. */
export function releaseNetwork(engine: Engine, id: string): void {
  withLinks(engine, (links) => {
    const left = links.list();
    const named = removeDnsEntries(id, left);
    const published = portsRecords().get(id) !== undefined;
    if (published) portsRecords().remove(id);
    if (published || named) refreshFirewall(engine.store.linux, links);
  });
}

/** The devices where the bridges are, while nobody else changes them. */
export function withLinks<T>(engine: Engine, work: (links: Links) => T): T {
  const { linux } = engine.store;
  return withNetworkLock(linux, () => {
    const namespace = openBridgeNamespace(linux);
    const links = openLinks(linux, namespace);
    try {
      return work(links);
    } finally {
      links.close();
      if (namespace !== undefined) linux.close(namespace);
    }
  });
}

/** Opens the network namespace of a running container; the caller closes the descriptor. */
export function openNamespaceOf(engine: Engine, record: ContainerRecord): number {
  return engine.store.linux.openat(AT_FDCWD, `/proc/${record.pid}/ns/net`, O_RDONLY);
}

// Ports -----------------------------------------------------------------------------------------------------------------

function isSix({ hostAddress }: { hostAddress: string }): boolean {
  return hostAddress.includes(":");
}

/** A socket per port: nobody else on the host gets it while the monitor, which inherits the socket, lives. */
export async function holdPorts(
  engine: Engine,
  record: ContainerRecord,
  options: ContainerOptions,
  network: NetworkRecord | undefined,
): Promise<{ fds: number[]; bindings: PortBinding[] }> {
  const { linux } = engine.store;
  const fds: number[] = [];
  const bindings: PortBinding[] = [];
  const serve = bridgeNamespacePath() !== undefined;
  const hold = (protocol: PortBinding["protocol"], address: string, port: number): number => {
    const parsed = parseAddress(address);
    if (parsed === undefined) throw new Error(`no address: ${address}`);
    if (protocol === "sctp") return port; // nothing but the firewall knows of it
    const socket = linux.holdPort(protocol, addressBytes(parsed.address, parsed.family), port, { serve });
    fds.push(socket.fd);
    return socket.port;
  };
  try {
    for (const request of portRequests(options)) {
      if (serve) checkForwarded(request);
      else checkHostAddress(request, network);
      const any = network?.options[DRIVER_OPTION.hostAddress] ?? "0.0.0.0";
      const addresses = request.hostAddress === "" ? (network?.ipv6 ? [any, "::"] : [any]) : [request.hostAddress];
      for (const end = Date.now() + PATIENCE_MS; ; await Bun.sleep(20)) {
        const free = tryPorts(request, (port) => {
          const before = fds.length;
          try {
            let chosen = port;
            for (const address of addresses) chosen = hold(request.protocol, address, chosen);
            return chosen;
          } catch (error) {
            for (const fd of fds.splice(before)) linux.close(fd);
            if (isErrno(error, "EADDRINUSE")) return undefined;
            throw cannotHold(error, request, addresses[0] as string);
          }
        });
        if (free !== undefined) {
          const { protocol, port } = request;
          bindings.push(...addresses.map((hostAddress) => ({ protocol, port, hostAddress, hostPort: free })));
          break;
        }
        const holder = holderOf(engine, record, request);
        if (holder !== undefined || Date.now() > end) throw portInUse(request, addresses[0] as string, holder);
      }
    }
    return { fds, bindings };
  } catch (error) {
    for (const fd of fds) linux.close(fd);
    throw error;
  }
}

/** @throws SlipwayError `INVALID_ADDRESS` */
function checkHostAddress({ hostAddress, port }: PortRequest, network: NetworkRecord | undefined): void {
  const parsed = parseAddress(hostAddress);
  if (parsed?.family !== 6) return;
  const why =
    parsed.address === 1n
      ? "the kernel leads nothing from IPv6's loopback to a container: publish at 127.0.0.1"
      : network?.ipv6 === true
        ? undefined
        : `the network ${network?.name} has no IPv6 addresses to lead it to: create one with --ipv6`;
  if (why === undefined) return;
  throw new SlipwayError("INVALID_ADDRESS", `port ${port} cannot be published at [${hostAddress}]: ${why}`, {
    exitCode: 125,
  });
}

/** What no program of a user's leads on. @throws SlipwayError `INVALID_OPTION` */
function checkForwarded({ protocol, port }: PortRequest): void {
  if (protocol !== "sctp") return;
  throw new SlipwayError(
    "INVALID_OPTION",
    `port ${port}/sctp cannot be published: only root can lead sctp to a container`,
    {
      exitCode: 125,
    },
  );
}

/** The first port of the request's that `take` gets. */
function tryPorts(
  { hostFirst, hostLast }: PortRequest,
  take: (port: number) => number | undefined,
): number | undefined {
  for (let port = hostFirst; port <= hostLast; port++) {
    const taken = take(port);
    if (taken !== undefined) return taken;
  }
  return undefined;
}

/** Name of the running container that has the port. */
function holderOf(engine: Engine, record: ContainerRecord, { protocol, hostFirst }: PortRequest): string | undefined {
  return engine.store.containers
    .list()
    .filter((other) => other.id !== record.id && other.network !== undefined)
    .map((other) => refreshContainer(engine, other))
    .find((other) =>
      runningNetwork(other).ports.some((each) => each.protocol === protocol && each.hostPort === hostFirst),
    )?.name;
}

function portInUse(
  { protocol, hostFirst, hostLast }: PortRequest,
  address: string,
  holder: string | undefined,
): SlipwayError {
  const text = hostPortText({ hostAddress: address, hostPort: hostFirst });
  const which = hostFirst === hostLast ? `${text}/${protocol}` : `${text}-${hostLast}/${protocol}`;
  const by = holder === undefined ? "" : ` by the container ${holder}`;
  return new SlipwayError("PORT_IN_USE", `the host's port ${which} is already in use${by}`, {
    hint: "Stop what has it, or publish another one: -p OTHER:PORT.",
    exitCode: 125,
  });
}

function cannotHold(error: unknown, { protocol, hostFirst }: PortRequest, address: string): unknown {
  const text = `${hostPortText({ hostAddress: address, hostPort: hostFirst })}/${protocol}`;
  if (isErrno(error, "EADDRNOTAVAIL"))
    return new SlipwayError("INVALID_ADDRESS", `the host's port ${text} cannot be had: the host has no such address`, {
      cause: error,
      exitCode: 125,
    });
  if (isErrno(error, "EACCES"))
    return new SlipwayError("PORT_FORBIDDEN", `the host's port ${text} cannot be had: this user may not`, {
      hint: "Take one from 1024 on, or let root allow it: sysctl -w net.ipv4.ip_unprivileged_port_start=80",
      cause: error,
      exitCode: 125,
    });
  return error;
}

/** Leads the ports of the host to the container. */
function publish(engine: Engine, record: ContainerRecord, endpoint: RunningEndpoint, bindings: PortBinding[]): void {
  if (bindings.length === 0) return;
  const ports = bindings.map((each): PublishedPorts => {
    const everywhere = each.hostAddress === "0.0.0.0" || each.hostAddress === "::";
    return {
      protocol: each.protocol,
      ...(everywhere ? {} : { hostAddress: each.hostAddress }),
      first: each.hostPort,
      last: each.hostPort,
      address: isSix(each) ? (endpoint.address6 as string) : endpoint.address,
      port: each.port,
    };
  });
  withLinks(engine, (links) => {
    links.reflect(endpoint.veth);
    portsRecords().set(record.id, { veth: endpoint.veth, ports: joined(ports) });
    refreshFirewall(engine.store.linux, links);
  });
}

/** The same for a plain user, by a process. What the monitor has to inherit in place of the sockets. */
function forward(
  linux: Linux,
  endpoint: RunningEndpoint,
  { fds, bindings }: { fds: number[]; bindings: PortBinding[] },
): number[] {
  if (fds.length === 0) return [];
  const ports = bindings.map(({ protocol, port, hostAddress }, at): ForwardedPort => {
    if (protocol === "sctp") throw new Error("sctp is refused before");
    const family = hostAddress.includes(":") ? 6 : 4;
    return { protocol, fd: fds[at] as number, family, address: endpoint.address, port };
  });
  const alive = startForwarding(linux, ports);
  for (const fd of fds) linux.close(fd);
  return [alive];
}

/** Neighbours that keep their distance as one range: one rule of the firewall instead of thousands. */
function joined(ports: PublishedPorts[]): PublishedPorts[] {
  const found: PublishedPorts[] = [];
  for (const each of ports) {
    const before = found.at(-1);
    if (
      before !== undefined &&
      before.protocol === each.protocol &&
      before.hostAddress === each.hostAddress &&
      before.address === each.address &&
      before.last + 1 === each.first &&
      each.first - each.port === before.first - before.port
    )
      before.last = each.last;
    else found.push({ ...each });
  }
  return found;
}
