import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import type { Linux } from "../../linux/Linux.ts";
import { LinuxError } from "../../linux/LinuxError.ts";
import { parseSubnet, type Subnet } from "./addresses.ts";
import { bridgeNamespacePath, hasOwnBridgeNamespace } from "./bridgeNamespace.ts";
import { applyFirewall, type FirewallState } from "./firewall.ts";
import { networkDirectory } from "./hostState.ts";
import { openLinks } from "./links.ts";
import { createNetworkNamespace } from "./namespaces.ts";
import { macOf } from "./veth.ts";

/**
 * Why this host cannot have bridge networks; undefined where it can. Tried once a boot, in a network namespace of its own that nobody sees:
 * a bridge, and a firewall of every kind of rule.
 */
export function bridgeRefusal(linux: Linux): string | undefined {
  const path = `${networkDirectory()}/probe`;
  const key = `2 ${readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()} ${process.getuid?.()}`; // 1: form of the answer
  try {
    const [known, ...answer] = readFileSync(path, "utf8").split("\n");
    if (known === key) return answer.join("\n") || undefined;
  } catch {
    // not tried yet
  }
  const refusal = tryBridge(linux) ?? wayRefusal();
  if (bridgeNamespacePath() !== undefined && refusal !== undefined) return refusal; // mended by an installation, not by a boot
  try {
    mkdirSync(networkDirectory(), { recursive: true, mode: 0o700 });
    writeFileSync(path, `${key}\n${refusal ?? ""}`);
  } catch {
    // whoever may not write there tries again
  }
  return refusal;
}

function tryBridge(linux: Linux): string | undefined {
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

/** Of a plain user: whether bridges have a namespace to be in, and what would lead out of it. */
function wayRefusal(): string | undefined {
  if (bridgeNamespacePath() === undefined) return undefined;
  if (!hasOwnBridgeNamespace()) return "the user's namespace has no network of its own: the host allows none";
  const { wayOutRefusal } = require("./wayOut.ts") as typeof import("./wayOut.ts");
  const refusal = wayOutRefusal();
  return refusal === undefined ? undefined : `${refusal.reason}: ${refusal.remedy}`;
}
