import type { Linux } from "../../linux/Linux.ts";
import { LinuxError } from "../../linux/LinuxError.ts";
import { parseSubnet, type Subnet } from "./addresses.ts";
import { applyFirewall, type FirewallState } from "./firewall.ts";
import { openLinks } from "./links.ts";
import { createNetworkNamespace } from "./namespaces.ts";
import { macOf } from "./veth.ts";

/** Tries it, in a network namespace of its own that nobody sees: a bridge, and a firewall of every kind of rule. Undefined where it works, else why not. */
export function tryBridge(linux: Linux): string | undefined {
  const subnet = parseSubnet("192.0.2.1/24") as Subnet; // for examples, RFC 5737
  let namespace: number | undefined;
  try {
    namespace = createNetworkNamespace(linux);
    const links = openLinks(linux, namespace);
    const bridge = links.addBridge("probe", { alias: "", mtu: 1500, mac: macOf(subnet.address) });
    links.addAddress(bridge.index, subnet);
    links.close();
    const state: FirewallState = {
      bridges: [{ device: "probe", subnets: [subnet], internal: false, masquerade: true }],
      ports: [{ protocol: "tcp", first: 1, last: 2, address: "192.0.2.2", port: 3 }],
    };
    applyFirewall(linux, state, namespace);
    return undefined;
  } catch (error) {
    if (error instanceof LinuxError) return error.message;
    throw error;
  } finally {
    if (namespace !== undefined) linux.close(namespace);
  }
}
