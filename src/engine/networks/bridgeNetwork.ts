import { SlipwayError } from "../../oci/SlipwayError.ts";
import {
  formatAddress,
  formatSubnet,
  networkOf,
  overlap,
  parseSubnet,
  type Subnet,
} from "../../runtime/network/addresses.ts";
import { type BridgeNetwork, isRouted } from "../../runtime/network/endpoints.ts";
import { bridgeRecords } from "../../runtime/network/hostState.ts";
import { type Links, openLinks } from "../../runtime/network/links.ts";
import type { NetworkRecord, Store } from "../../store/Store.ts";
import { DEFAULT_DEVICE, DRIVER_OPTION, deviceOf, isDefaultBridge } from "./networkRecords.ts";

/** The network as the kernel is to have it. Under the network lock, where it is the default one. */
export function bridgeNetwork(store: Store, links: Links, network: NetworkRecord): BridgeNetwork {
  const { options } = network;
  const mtu = Number(options[DRIVER_OPTION.mtu]);
  const common = {
    name: network.name,
    device: deviceOf(network),
    internal: network.internal,
    masquerade: options[DRIVER_OPTION.masquerade] !== "false",
    isolated: options[DRIVER_OPTION.icc] === "false",
    ...(mtu > 0 ? { mtu } : {}),
  };
  if (isDefaultBridge(network)) return { ...common, subnets: defaultSubnets(store, links) };
  return {
    ...common,
    root: store.root,
    subnets: network.subnets.map(({ subnet, gateway, range, reserved }) => ({
      subnet,
      gateway,
      ...(range === undefined ? {} : { range }),
      ...(reserved === undefined ? {} : { reserved: Object.values(reserved) }),
    })),
  };
}

/** Those that the device has; before it is made, those that it would get. */
export function defaultSubnets(store: Store, links: Links): BridgeNetwork["subnets"] {
  const device = links.get(DEFAULT_DEVICE);
  const own = links.addresses().find(({ index, subnet }) => index === device?.index && subnet.family === 4)?.subnet;
  if (own === undefined) return [withGateway(freeSubnet(store, links))];
  return [{ subnet: formatSubnet(own), gateway: formatAddress(own.address, own.family) }];
}

/** The first network of Docker's pool that nobody on this host uses. @throws SlipwayError `SUBNETS_EXHAUSTED` */
export function freeSubnet(store: Store, links: Links): Subnet {
  const used = [
    ...store.networks.list().flatMap(({ subnets }) => subnets.map(({ subnet }) => subnet)),
    ...bridgeRecords()
      .all()
      .flatMap(([, { gateways }]) => gateways),
  ].map((text) => parseSubnet(text) as Subnet);
  // What the host reaches, a plain user's containers shall, too.
  const host = links.namespace === undefined ? undefined : openLinks(store.linux);
  try {
    for (const subnet of pool()) {
      if (used.some((each) => overlap(each, subnet)) || isRouted(links, subnet)) continue;
      if (host === undefined || !isRouted(host, subnet)) return subnet;
    }
  } finally {
    host?.close();
  }
  throw new SlipwayError("SUBNETS_EXHAUSTED", "all predefined address pools have been fully subnetted", {
    hint: "Remove networks (slipway network prune), or name a --subnet.",
  });
}

function* pool(): Generator<Subnet> {
  const find = (text: string): Subnet => parseSubnet(text) as Subnet;
  for (let second = 17; second < 32; second++) yield find(`172.${second}.0.0/16`);
  for (let third = 0; third < 256; third += 16) yield find(`192.168.${third}.0/20`);
}

/** With its first address as the gateway, as Docker chooses it. */
export function withGateway(subnet: Subnet): { subnet: string; gateway: string } {
  return { subnet: formatSubnet(subnet), gateway: formatAddress(networkOf(subnet) + 1n, subnet.family) };
}
