import type { Endpoint } from "../../runtime/network/endpoints.ts";
import type { ContainerRecord, NetworkRecord } from "../../store/Store.ts";
import type { PortBinding } from "./networkPorts.ts";

/** What a container was told of one of its networks. */
export interface NetworkAttachment {
  /** ID of the network; in `CreateOptions` its name or ID as given. */
  network: string;
  aliases: string[];
  address?: string;
  address6?: string;
  mac?: string;
}

/** `ContainerRecord.network`. */
export interface RunningNetwork {
  endpoints: RunningEndpoint[];
  ports: PortBinding[];
}

export interface RunningEndpoint extends Endpoint {
  /** ID of the network. */
  network: string;
}

export function runningNetwork(record: ContainerRecord): RunningNetwork {
  return (record.network as RunningNetwork | undefined) ?? { endpoints: [], ports: [] };
}

/** The device of the network `bridge`, which all stores of the host share. */
export const DEFAULT_DEVICE = "slipway0";

export const DRIVER_OPTION = {
  name: "com.docker.network.bridge.name",
  masquerade: "com.docker.network.bridge.enable_ip_masquerade",
  icc: "com.docker.network.bridge.enable_icc",
  hostAddress: "com.docker.network.bridge.host_binding_ipv4",
  mtu: "com.docker.network.driver.mtu",
} as const;

export function isDefaultBridge(network: NetworkRecord): boolean {
  return network.name === "bridge" && network.driver === "bridge";
}

/** Whether containers find each other by name in it. */
export function hasDns(network: NetworkRecord): boolean {
  return network.driver === "bridge" && !isDefaultBridge(network);
}

export function isPredefined(network: NetworkRecord): boolean {
  return ["bridge", "host", "none"].includes(network.name);
}

export function deviceOf(network: NetworkRecord): string {
  if (isDefaultBridge(network)) return DEFAULT_DEVICE;
  return network.options[DRIVER_OPTION.name] ?? `sl-${network.id.slice(0, 12)}`;
}
