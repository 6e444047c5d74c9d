import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { AT_FDCWD, CLONE_NEWNET, NETLINK_NETFILTER, O_RDONLY } from "../../linux/constants.ts";
import { createLinux } from "../../linux/createLinux.ts";
import { isErrno } from "../../linux/LinuxError.ts";
import { parseAddress, parseSubnet, type Subnet } from "./addresses.ts";
import { applyFirewall, type FirewallState, removeFirewall } from "./firewall.ts";
import { type Links, openLinks } from "./links.ts";
import { createNetworkNamespace } from "./namespaces.ts";
import { passForeignFirewall } from "./foreignFirewall.ts";
import { attribute, be32, nested, NLM_F_ACK, NLM_F_CREATE, openNetlink, text } from "./netlink.ts";
import { type ChainName, drop, openNftables } from "./nftables.ts";
import { macOf } from "./veth.ts";

const subnet = (text: string): Subnet => parseSubnet(text) as Subnet;

// In a network namespace of its own: the host's devices are not touched.
describe.skipIf(process.getuid?.() !== 0)("in a network namespace", () => {
  const linux = createLinux();
  let before = -1;
  let links: Links;
  beforeAll(() => {
    before = linux.openat(AT_FDCWD, "/proc/thread-self/ns/net", O_RDONLY);
    linux.unshare(CLONE_NEWNET);
    links = openLinks(linux);
  });
  afterAll(() => {
    links.close();
    linux.setns(before, CLONE_NEWNET);
    linux.close(before);
  });

  test("a bridge and a pair that leads into another namespace are there when the calls return, and gone with the namespace", async () => {
    const bridge = links.addBridge("b0", {
      alias: "of a test",
      mtu: 1400,
      mac: macOf(parseAddress("10.9.0.1")?.address as bigint),
    });
    expect(bridge).toMatchObject({ name: "b0", alias: "of a test", mtu: 1400, up: true });
    links.addAddress(bridge.index, subnet("10.9.0.1/24"));
    links.addAddress(bridge.index, subnet("10.9.0.1/24")); // once more is fine
    const namespace = createNetworkNamespace(linux);
    const pair = { name: "v0", alias: "container", bridge: bridge.index, mtu: 1400, isolated: true };
    const mac = Uint8Array.of(2, 0, 0, 0, 0, 9);
    links.addVeth({ ...pair, peer: { namespace, name: "eth0", mac } });
    links.reflect("v0");
    expect(() => links.addVeth({ ...pair, peer: { namespace, name: "eth1", mac } })).toThrow("EEXIST");
    const inside = openLinks(linux, namespace);
    {
      const eth0 = inside.get("eth0");
      inside.addAddress(eth0?.index as number, subnet("10.9.0.2/24"));
      inside.setUp(eth0?.index as number);
      inside.addDefaultRoute(eth0?.index as number, parseAddress("10.9.0.1") as Subnet);
      expect(inside.defaultDevice()).toBe(eth0?.index as number);
      inside.removeDefaultRoute(eth0?.index as number, parseAddress("10.9.0.1") as Subnet);
      expect(inside.defaultDevice()).toBeUndefined();
      inside.close();
    }
    expect(links.get("v0")).toMatchObject({ master: bridge.index, alias: "container", up: true });
    expect(links.routes().some((route) => route.prefix === 24 && route.family === 4)).toBe(true);
    linux.close(namespace);
    for (const end = Date.now() + 5000; links.get("v0") !== undefined && Date.now() < end; ) await Bun.sleep(5);
    expect(links.list().map(({ name }) => name)).toEqual(["lo", "b0"]);
    links.remove(bridge.index);
    links.remove(bridge.index); // gone already
  });

  test("the firewall is what the state says, in one step, and nothing is done where it is that already", () => {
    const state: FirewallState = {
      bridges: [
        { device: "b0", subnets: [subnet("10.9.0.0/24"), subnet("fd00:9::/64")], internal: false, masquerade: true },
        { device: "b1", subnets: [subnet("10.9.1.0/24")], internal: true, masquerade: true },
      ],
      ports: [
        { protocol: "tcp", first: 8080, last: 8080, address: "10.9.0.2", port: 80 },
        { protocol: "udp", hostAddress: "127.0.0.1", first: 5000, last: 5010, address: "10.9.0.2", port: 5000 },
        { protocol: "tcp", first: 7000, last: 7002, address: "fd00:9::2", port: 80 },
      ],
    };
    try {
      applyFirewall(linux, state);
    } catch (error) {
      if (isErrno(error, "EPROTONOSUPPORT", "EOPNOTSUPP")) return; // a kernel without nf_tables
      throw error;
    }
    const nftables = openNftables(linux);
    const note = nftables.tableNote("slipway");
    expect(note).toBeString();
    applyFirewall(linux, state);
    expect(nftables.tableNote("slipway")).toBe(note as string);
    applyFirewall(linux, { ...state, ports: [] });
    expect(nftables.tableNote("slipway")).not.toBe(note as string);
    // One that the kernel refuses leaves the one before.
    const last = nftables.tableNote("slipway");
    expect(() =>
      nftables.replaceTable("slipway", [{ name: "x", type: "nat", hook: "forward", priority: 0, rules: [] }], "bad"),
    ).toThrow();
    expect(nftables.tableNote("slipway")).toBe(last as string);
    removeFirewall(linux);
    removeFirewall(linux);
    expect(nftables.tableNote("slipway")).toBeUndefined();
    nftables.close();
  });

  test("a firewall of others that drops what it does not know lets the bridges through, and only as long as they are there", () => {
    const nftables = openNftables(linux);
    const forward = { family: "ip", table: "filter", chain: "FORWARD" } as const;
    const comments = (chain: ChainName): string[] => nftables.commentedRules(chain).map(({ comment }) => comment);
    passForeignFirewall(linux, ["b0"]); // nothing there
    expect(nftables.policy("ip", "filter", "FORWARD")).toBeUndefined();
    addForwardChain("drop");
    expect(nftables.policy("ip", "filter", "FORWARD")).toBe("drop");
    nftables.changeRules(forward, { add: [{ comment: "somebody's", rule: [...drop] }], remove: [] });
    passForeignFirewall(linux, ["b0", "b1"]);
    passForeignFirewall(linux, ["b0", "b1"]);
    expect(comments(forward).toSorted()).toEqual(
      ["somebody's", "slipway from b0", "slipway from b1", "slipway to b0", "slipway to b1"].toSorted(),
    );
    expect(comments(forward).at(-1)).toBe("somebody's"); // what drops comes after
    passForeignFirewall(linux, ["b1"]);
    passForeignFirewall(linux, []);
    expect(comments(forward)).toEqual(["somebody's"]);
    addForwardChain("accept");
    passForeignFirewall(linux, ["b0"]);
    expect(comments(forward)).toEqual(["somebody's"]);
    nftables.close();
  });

  /** What `iptables -P FORWARD` makes. */
  function addForwardChain(policy: "accept" | "drop"): void {
    const netlink = openNetlink(linux, linux.netlinkSocket(NETLINK_NETFILTER));
    const [SUBSYSTEM, NEWTABLE, NEWCHAIN, IPV4, FORWARD] = [10 << 8, 0, 3, 2, 2];
    const family = Uint8Array.of(IPV4, 0, 0, 0);
    const bounds = Uint8Array.of(0, 0, 0, 10);
    const hook = nested(4, attribute(1, be32(FORWARD)), attribute(2, be32(0)));
    const chain = [attribute(1, text("filter")), attribute(3, text("FORWARD")), hook];
    const decided = attribute(5, be32(policy === "drop" ? 0 : 1));
    netlink.batch(
      [
        { type: 0x10, flags: 0, body: [bounds] },
        { type: SUBSYSTEM | NEWTABLE, flags: NLM_F_CREATE, body: [family, attribute(1, text("filter"))] },
        {
          type: SUBSYSTEM | NEWCHAIN,
          flags: NLM_F_CREATE | NLM_F_ACK,
          body: [family, ...chain, decided, attribute(7, text("filter"))],
        },
        { type: 0x11, flags: 0, body: [bounds] },
      ],
      "make a chain",
    );
    netlink.close();
  }

  test("a port that is held is nobody else's, and free again when the socket is closed", () => {
    links.setUp(1);
    const any = Uint8Array.of(0, 0, 0, 0);
    for (const protocol of ["tcp", "udp"] as const) {
      const held = linux.holdPort(protocol, any, 0);
      expect(held.port).toBeGreaterThan(0);
      expect(() => linux.holdPort(protocol, Uint8Array.of(127, 0, 0, 1), held.port)).toThrow("EADDRINUSE");
      linux.close(held.fd);
      linux.close(linux.holdPort(protocol, any, held.port).fd);
    }
    expect(() => linux.holdPort("tcp", Uint8Array.of(192, 0, 2, 77), 0)).toThrow("EADDRNOTAVAIL");
  });
});
