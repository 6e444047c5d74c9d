import { SlipwayError } from "../../oci/SlipwayError.ts";
import { parseAddress } from "../../runtime/network/addresses.ts";
import { bridgeRefusal } from "../../runtime/network/probeBridge.ts";
import { parseMac } from "../../runtime/network/veth.ts";
import type { NetworkRecord } from "../../store/Store.ts";
import { containerHostname, containerOptions } from "../containers/ContainerOptions.ts";
import type { CreateOptions, Engine } from "../Engine.ts";
import { hasDns, type NetworkAttachment } from "./networkRecords.ts";
import { parsePublish } from "./networkPorts.ts";

/** What a container keeps of its network options. */
export interface NetworkMode {
  /** As Docker's NetworkMode: `host`, `none`, `pasta`, `container:ID`, or the name of its first network. */
  network: string;
  /** IDs; undefined with `host`, `pasta` and `container:`. */
  networks: NetworkAttachment[] | undefined;
  /** Of the container whose network it shares. */
  hostname?: string;
}

/**
 * Which networks the options mean. Where nothing is said it is the bridge; on a host that cannot have one it is the host's network, with a warning.
 * @throws SlipwayError `INVALID_OPTION`, `NETWORK_NOT_FOUND`, `CONTAINER_NOT_FOUND`
 */
export async function networkMode(engine: Engine, options: CreateOptions): Promise<NetworkMode> {
  const { store } = engine;
  for (const text of options.publish ?? []) parsePublish(text);
  const given = options.networks ?? [];
  const [first] = given;
  const mode = first?.network ?? options.network;
  if (mode.startsWith("container:")) {
    checkJoined(options, given);
    const other = store.containers.find(mode.slice("container:".length));
    const hostname = containerHostname(other, containerOptions(other));
    return { network: `container:${other.id}`, networks: undefined, hostname };
  }
  if (mode === "default" || mode === "") return defaultMode(engine, options, given);
  if (mode === "none" && given.length <= 1) return { network: "none", networks: [] };
  if (mode === "host" && given.length <= 1) return hostMode(engine, options);
  if (mode === "pasta" && given.length <= 1) {
    const { requirePlainUser } = await import("./pastaNetwork.ts");
    requirePlainUser();
    return { network: "pasta", networks: undefined };
  }
  const attachments = given.length > 0 ? given : [{ network: mode, aliases: [] }];
  const networks = attachments.map((attachment) => resolved(engine, attachment));
  if (networks.length > 1 && networks.some(({ network }) => network.driver !== "bridge"))
    throw invalid("conflicting options: cannot attach both user-defined and non-user-defined network-modes");
  const [only] = networks as [(typeof networks)[0]];
  if (only.network.driver === "host") return hostMode(engine, options);
  if (only.network.driver === "null") return { network: "none", networks: [] };
  const twice = networks.find(({ network }, at) => networks.findIndex((other) => other.network === network) !== at);
  if (twice !== undefined) throw invalid(`network ${JSON.stringify(twice.network.name)} is specified multiple times`);
  return { network: only.network.name, networks: networks.map(({ attachment }) => attachment) };
}

/** With the network's ID. @throws SlipwayError */
export function resolved(
  engine: Engine,
  attachment: NetworkAttachment,
): { network: NetworkRecord; attachment: NetworkAttachment } {
  const network = engine.store.networks.find(attachment.network);
  const { address, address6, mac } = attachment;
  if (address !== undefined && parseAddress(address)?.family !== 4) throw invalid(`invalid IPv4 address: ${address}`);
  if (address6 !== undefined && parseAddress(address6)?.family !== 6)
    throw invalid(`invalid IPv6 address: ${address6}`);
  if (mac !== undefined && parseMac(mac) === undefined) throw invalid(`invalid MAC address: ${mac}`);
  if (!hasDns(network)) {
    if (attachment.aliases.length > 0)
      throw invalid("network-scoped aliases are only supported for user-defined networks");
    if (address !== undefined || address6 !== undefined)
      throw invalid("user specified IP address is supported on user defined networks only");
  } else if (address6 !== undefined && !network.ipv6) {
    throw invalid(`the network ${network.name} has no IPv6 subnet, of which ${address6} could be`);
  }
  return { network, attachment: { ...attachment, network: network.id } };
}

async function defaultMode(engine: Engine, options: CreateOptions, given: NetworkAttachment[]): Promise<NetworkMode> {
  const refusal = await bridgeRefusal(engine.store.linux);
  if (refusal === undefined) {
    const { attachment } = resolved(engine, { aliases: [], ...given[0], network: "bridge" });
    return { network: "bridge", networks: [attachment] };
  }
  engine.emit({
    type: "warning",
    message: `this host cannot have a bridge network (${refusal}): the container gets the host's; --network host says so without this warning`,
  });
  return hostMode(engine, options);
}

function hostMode(engine: Engine, options: CreateOptions): NetworkMode {
  if ((options.publish?.length ?? 0) > 0 || options.publishAll === true)
    engine.emit({ type: "warning", message: "Published ports are discarded when using host network mode" });
  return { network: "host", networks: undefined };
}

/** What says something of the network cannot be said where it is another container's: Docker's words. */
function checkJoined(options: CreateOptions, given: NetworkAttachment[]): void {
  const conflict = (what: string, is: boolean): void => {
    if (is) throw invalid(`conflicting options: ${what}`);
  };
  const some = (list: unknown[] | undefined): boolean => (list?.length ?? 0) > 0;
  conflict("cannot attach both user-defined and non-user-defined network-modes", given.length > 1);
  conflict("hostname and the network mode", options.hostname !== undefined);
  conflict("dns and the network mode", some(options.dns));
  conflict("custom host-to-IP mapping and the network mode", some(options.addHosts));
  conflict("mac-address and the network mode", given[0]?.mac !== undefined);
  const publishes = some(options.publish) || options.publishAll === true;
  conflict("port publishing and the container type network mode", publishes);
  conflict("port exposing and the container type network mode", some(options.expose));
}

function invalid(message: string): SlipwayError {
  return new SlipwayError("INVALID_OPTION", message, { exitCode: 125 });
}
