import type { ContainerRecord, NetworkRecord } from "../../store/Store.ts";
import { containerOptions } from "../containers/ContainerOptions.ts";
import type { Engine } from "../Engine.ts";
import { portRequests } from "./networkPorts.ts";
import { endpointID } from "./networks.ts";
import {
  hasDns,
  isDefaultBridge,
  type NetworkAttachment,
  type RunningEndpoint,
  runningNetwork,
} from "./networkRecords.ts";

/** NetworkSettings of `docker inspect`. */
export function networkSettings(engine: Engine, record: ContainerRecord): Record<string, unknown> {
  const options = containerOptions(record);
  const running = runningNetwork(record);
  const networks = engine.store.networks.list();
  const attachments = (options.networks ?? []).flatMap((attachment) => {
    const network = networks.find(({ id }) => id === attachment.network);
    const endpoint = running.endpoints.find((each) => each.network === attachment.network);
    return network === undefined ? [] : [{ attachment, network, endpoint }];
  });
  const bridge = attachments.find(({ network }) => isDefaultBridge(network));
  const isAlive = record.status === "running" || record.status === "paused";
  return {
    Bridge: "",
    SandboxID: isAlive ? Bun.SHA256.hash(`${record.id} ${record.started}`, "hex") : "",
    SandboxKey: isAlive ? `/proc/${record.pid}/ns/net` : "",
    Ports: ports(record, isAlive),
    HairpinMode: false,
    LinkLocalIPv6Address: "",
    LinkLocalIPv6PrefixLen: 0,
    SecondaryIPAddresses: null,
    SecondaryIPv6Addresses: null,
    EndpointID: bridge?.endpoint === undefined ? "" : endpointID(record, bridge.network.id),
    ...addresses(bridge?.endpoint),
    MacAddress: bridge?.endpoint?.mac ?? "",
    Networks: Object.fromEntries([
      ...attachments.map((each) => [each.network.name, endpointSettings(record, each)]),
      ...networks
        .filter(({ name }) => ["host", "none"].includes(name) && name === options.network)
        .map((network) => [
          network.name,
          endpointSettings(record, { network, attachment: { network: network.id, aliases: [] }, endpoint: undefined }),
        ]),
    ]),
  };
}

/** HostConfig.PortBindings: what was asked for. */
export function portBindings(record: ContainerRecord): Record<string, { HostIp: string; HostPort: string }[]> {
  const found: ReturnType<typeof portBindings> = {};
  for (const each of portRequests({ ...containerOptions(record), publishAll: false })) {
    const range = each.hostLast === each.hostFirst ? `${each.hostFirst}` : `${each.hostFirst}-${each.hostLast}`;
    const key = `${each.port}/${each.protocol}`;
    const binding = { HostIp: each.hostAddress, HostPort: each.hostFirst === 0 ? "" : range };
    found[key] = [...(found[key] ?? []), binding];
  }
  return found;
}

function ports(
  record: ContainerRecord,
  isAlive: boolean,
): Record<string, { HostIp: string; HostPort: string }[] | null> {
  if (!isAlive) return {};
  const exposed = Object.keys(containerOptions(record).config.ExposedPorts ?? {});
  const found: ReturnType<typeof ports> = Object.fromEntries(exposed.map((key) => [key, null]));
  for (const { port, protocol, hostAddress, hostPort } of runningNetwork(record).ports) {
    const key = `${port}/${protocol}`;
    found[key] = [...(found[key] ?? []), { HostIp: hostAddress, HostPort: String(hostPort) }];
  }
  return found;
}

function endpointSettings(
  record: ContainerRecord,
  {
    attachment,
    network,
    endpoint,
  }: { attachment: NetworkAttachment; network: NetworkRecord; endpoint: RunningEndpoint | undefined },
): Record<string, unknown> {
  const { address, address6, mac, aliases } = attachment;
  const fixed = {
    ...(address === undefined ? {} : { IPv4Address: address }),
    ...(address6 === undefined ? {} : { IPv6Address: address6 }),
  };
  return {
    IPAMConfig: Object.keys(fixed).length === 0 ? null : fixed,
    Links: null,
    Aliases: aliases.length === 0 ? null : aliases,
    DriverOpts: null,
    GwPriority: 0,
    NetworkID: network.id,
    EndpointID: endpoint === undefined ? "" : endpointID(record, network.id),
    ...addresses(endpoint),
    MacAddress: endpoint?.mac ?? mac ?? "",
    DNSNames: hasDns(network) ? [...new Set([record.name, ...aliases, record.id.slice(0, 12)])] : null,
  };
}

function addresses(endpoint: RunningEndpoint | undefined): Record<string, unknown> {
  return {
    Gateway: endpoint?.gateway ?? "",
    IPAddress: endpoint?.address ?? "",
    IPPrefixLen: endpoint?.prefix ?? 0,
    IPv6Gateway: endpoint?.gateway6 ?? "",
    GlobalIPv6Address: endpoint?.address6 ?? "",
    GlobalIPv6PrefixLen: endpoint?.prefix6 ?? 0,
  };
}
