import { NETLINK_ROUTE } from "../../linux/constants.ts";
import { LinuxError } from "../../linux/LinuxError.ts";
import type { Linux } from "../../linux/Linux.ts";
import { addressBytes, addressOf, type Subnet } from "./addresses.ts";
import { netlinkIn } from "./namespaces.ts";
import {
  attribute,
  attributes,
  concat,
  nested,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_EXCL,
  openNetlink,
  text,
  textOf,
  u32,
} from "./netlink.ts";

/** A network device. */
export interface Link {
  index: number;
  name: string;
  /** Index of the bridge that it is a port of, or 0. */
  master: number;
  up: boolean;
  mtu: number;
  /** What its maker wrote beside it. */
  alias: string;
}

export interface VethOptions {
  /** The host's end. */
  name: string;
  alias: string;
  /** Index of the bridge. */
  bridge: number;
  mtu: number;
  /** Other ports of the bridge that are isolated, too, cannot be reached. */
  isolated?: boolean;
  /** The other end: its namespace's descriptor, its name there, its hardware address. */
  peer: { namespace: number; name: string; mac: Uint8Array };
}

/** The devices of one network namespace, rtnetlink(7). Every call is done when it returns; failures are LinuxErrors. */
export interface Links {
  /** Its descriptor, which is the caller's; undefined: the namespace of the calling thread. */
  readonly namespace: number | undefined;
  list(): Link[];
  get(name: string): Link | undefined;
  /** EEXIST where the name is taken. */
  addBridge(name: string, options: { alias: string; mtu: number; mac: Uint8Array }): Link;
  /** Both ends at once, the host's end up. EEXIST where the name is taken. */
  addVeth(options: VethOptions): void;
  /** Lets the bridge send back by this port what came by it: a container that asks for its own published port. */
  reflect(name: string): void;
  setUp(index: number): void;
  /** Nothing happens where it is gone. */
  remove(index: number): void;
  /** `subnet.address` is the device's own address; already there is fine. */
  addAddress(index: number, subnet: Subnet): void;
  addDefaultRoute(index: number, gateway: { address: bigint; family: 4 | 6 }): void;
  removeDefaultRoute(index: number, gateway: { address: bigint; family: 4 | 6 }): void;
  /** Every address of every device. */
  addresses(): { index: number; subnet: Subnet }[];
  /** Networks that routes lead to. */
  routes(): Subnet[];
  /** The device of the default route. */
  defaultDevice(): number | undefined;
  close(): void;
}

const RTM = {
  NEWLINK: 16,
  DELLINK: 17,
  GETLINK: 18,
  SETLINK: 19,
  NEWADDR: 20,
  GETADDR: 22,
  NEWROUTE: 24,
  DELROUTE: 25,
  GETROUTE: 26,
};
const IFLA = { ADDRESS: 1, IFNAME: 3, MTU: 4, MASTER: 10, PROTINFO: 12, LINKINFO: 18, IFALIAS: 20, NET_NS_FD: 28 };
const [IFLA_INFO_KIND, IFLA_INFO_DATA, VETH_INFO_PEER] = [1, 2, 1];
const [IFLA_BRPORT_MODE, IFLA_BRPORT_ISOLATED] = [4, 33];
const [IFA_ADDRESS, IFA_LOCAL, IFA_F_NODAD] = [1, 2, 2];
const [RTA_DST, RTA_OIF, RTA_GATEWAY] = [1, 4, 5];
const IFF_UP = 1;
const [EEXIST, ESRCH, ENODEV] = [17, 3, 19];
const [LINK_HEADER, ADDRESS_HEADER, ROUTE_HEADER] = [16, 8, 12];

/** Of a network namespace; undefined: the one that the calling thread is in now. `close` leaves its descriptor open. */
export function openLinks(linux: Linux, namespace?: number): Links {
  const netlink = openNetlink(linux, netlinkIn(linux, namespace, NETLINK_ROUTE));
  const get = (name: string): Link | undefined =>
    netlink
      .get({ type: RTM.GETLINK, flags: 0, body: [linkHeader(0), attribute(IFLA.IFNAME, text(name))] }, "get link")
      .map(readLink)[0];
  const routes = (): { subnet: Subnet | undefined; device: number }[] =>
    [AF_INET, AF_INET6].flatMap((family) =>
      netlink
        .get({ type: RTM.GETROUTE, flags: NLM_F_DUMP, body: [routeHeader(family, 0)] }, "list routes")
        .map(readRoute),
    );
  /** The kernel takes no alias for a device that it is yet to make. */
  const make = (name: string, alias: string, body: Uint8Array[], what: string): void => {
    const header = linkHeader(0, IFF_UP);
    const named = attribute(IFLA.IFNAME, text(name));
    netlink.request({ type: RTM.NEWLINK, flags: NLM_F_CREATE | NLM_F_EXCL, body: [header, named, ...body] }, what);
    const body2 = [linkHeader(0), named, attribute(IFLA.IFALIAS, Buffer.from(alias))];
    netlink.request({ type: RTM.SETLINK, flags: 0, body: body2 }, "name a device");
  };
  const setPort = (name: string, flag: number): void => {
    const found = get(name);
    if (found === undefined) return;
    const flags = nested(IFLA.PROTINFO, attribute(flag, Uint8Array.of(1)));
    const body = [linkHeader(found.index, 0, AF_BRIDGE), flags];
    netlink.request({ type: RTM.SETLINK, flags: 0, body }, "set a bridge's port");
  };
  return {
    namespace,
    get,
    reflect: (name) => setPort(name, IFLA_BRPORT_MODE),
    list: () =>
      netlink.get({ type: RTM.GETLINK, flags: NLM_F_DUMP, body: [linkHeader(0)] }, "list links").map(readLink),
    addBridge(name, { alias, mtu, mac }) {
      const kind = nested(IFLA.LINKINFO, attribute(IFLA_INFO_KIND, text("bridge")));
      make(name, alias, [attribute(IFLA.ADDRESS, mac), attribute(IFLA.MTU, u32(mtu)), kind], "make a bridge");
      return get(name) as Link;
    },
    addVeth({ name, alias, bridge, mtu, isolated, peer }) {
      const other = concat([
        linkHeader(0),
        attribute(IFLA.IFNAME, text(peer.name)),
        attribute(IFLA.ADDRESS, peer.mac),
        attribute(IFLA.MTU, u32(mtu)),
        attribute(IFLA.NET_NS_FD, u32(peer.namespace)),
      ]);
      const kind = nested(
        IFLA.LINKINFO,
        attribute(IFLA_INFO_KIND, text("veth")),
        nested(IFLA_INFO_DATA, nested(VETH_INFO_PEER, other)),
      );
      make(name, alias, [attribute(IFLA.MTU, u32(mtu)), attribute(IFLA.MASTER, u32(bridge)), kind], "make a veth pair");
      if (isolated === true) setPort(name, IFLA_BRPORT_ISOLATED);
    },
    setUp: (index) => netlink.request({ type: RTM.NEWLINK, flags: 0, body: [linkHeader(index, IFF_UP)] }, "set up"),
    remove: (index) =>
      unless([ENODEV], () =>
        netlink.request({ type: RTM.DELLINK, flags: 0, body: [linkHeader(index)] }, "remove link"),
      ),
    addAddress(index, subnet) {
      const bytes = addressBytes(subnet.address, subnet.family);
      const header = new Uint8Array(ADDRESS_HEADER);
      // Nobody else has the address of a network that we give out: IPv6 need not ask around for a second.
      header.set([familyNumber(subnet.family), subnet.prefix, subnet.family === 6 ? IFA_F_NODAD : 0, 0]);
      new DataView(header.buffer).setUint32(4, index, true);
      const body = [header, attribute(IFA_LOCAL, bytes), attribute(IFA_ADDRESS, bytes)];
      unless([EEXIST], () =>
        netlink.request({ type: RTM.NEWADDR, flags: NLM_F_CREATE | NLM_F_EXCL, body }, "add address"),
      );
    },
    addDefaultRoute: (index, gateway) =>
      unless([EEXIST], () =>
        netlink.request(
          { type: RTM.NEWROUTE, flags: NLM_F_CREATE | NLM_F_EXCL, body: defaultRoute(index, gateway) },
          "add route",
        ),
      ),
    removeDefaultRoute: (index, gateway) =>
      unless([ESRCH], () =>
        netlink.request({ type: RTM.DELROUTE, flags: 0, body: defaultRoute(index, gateway) }, "remove route"),
      ),
    addresses: () =>
      netlink
        .get({ type: RTM.GETADDR, flags: NLM_F_DUMP, body: [new Uint8Array(ADDRESS_HEADER)] }, "list addresses")
        .flatMap(readAddress),
    routes: () => routes().flatMap(({ subnet }) => subnet ?? []),
    defaultDevice: () => routes().find(({ subnet }) => subnet === undefined)?.device,
    close: () => netlink.close(),
  };
}

const AF_INET = 2;
const AF_INET6 = 10;
const AF_BRIDGE = 7;

function familyNumber(family: 4 | 6): number {
  return family === 4 ? AF_INET : AF_INET6;
}

function linkHeader(index: number, flags = 0, family = 0): Uint8Array {
  const bytes = new Uint8Array(LINK_HEADER);
  bytes[0] = family;
  const view = new DataView(bytes.buffer);
  view.setInt32(4, index, true);
  view.setUint32(8, flags, true);
  view.setUint32(12, flags, true); // which of the flags are meant
  return bytes;
}

function routeHeader(family: number, scope: number): Uint8Array {
  const [RT_TABLE_MAIN, RTPROT_BOOT, RTN_UNICAST] = [254, 3, 1];
  const bytes = new Uint8Array(ROUTE_HEADER);
  bytes.set([family, 0, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, scope, RTN_UNICAST]);
  return bytes;
}

function defaultRoute(index: number, { address, family }: { address: bigint; family: 4 | 6 }): Uint8Array[] {
  return [
    routeHeader(familyNumber(family), 0),
    attribute(RTA_GATEWAY, addressBytes(address, family)),
    attribute(RTA_OIF, u32(index)),
  ];
}

function readLink(body: Uint8Array): Link {
  const view = new DataView(body.buffer, body.byteOffset);
  const found = attributes(body, LINK_HEADER);
  return {
    index: view.getInt32(4, true),
    up: (view.getUint32(8, true) & IFF_UP) !== 0,
    name: textOf(found.get(IFLA.IFNAME)),
    alias: textOf(found.get(IFLA.IFALIAS)),
    master: number(found.get(IFLA.MASTER)),
    mtu: number(found.get(IFLA.MTU)),
  };
}

function readAddress(body: Uint8Array): { index: number; subnet: Subnet }[] {
  const found = attributes(body, ADDRESS_HEADER);
  const bytes = found.get(IFA_LOCAL) ?? found.get(IFA_ADDRESS);
  if (bytes === undefined) return [];
  const index = new DataView(body.buffer, body.byteOffset).getUint32(4, true);
  return [{ index, subnet: { ...addressOf(bytes), prefix: body[1] as number } }];
}

/** `subnet` undefined: the default route. Those of other tables than the main one are left out by the kernel's own word for them. */
function readRoute(body: Uint8Array): { subnet: Subnet | undefined; device: number } {
  const found = attributes(body, ROUTE_HEADER);
  const destination = found.get(RTA_DST);
  const prefix = body[1] as number;
  const device = number(found.get(RTA_OIF));
  if (destination === undefined || prefix === 0) return { subnet: undefined, device };
  return { subnet: { ...addressOf(destination), prefix }, device };
}

function number(value: Uint8Array | undefined): number {
  return value === undefined ? 0 : new DataView(value.buffer, value.byteOffset).getUint32(0, true);
}

function unless(expected: number[], work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof LinuxError) || !expected.includes(error.errno)) throw error;
  }
}
