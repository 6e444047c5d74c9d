import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import type { Linux } from "../../linux/Linux.ts";
import { LinuxError } from "../../linux/LinuxError.ts";
import { userId } from "../../linux/userNamespace.ts";
import { parseSubnet, type Subnet } from "./addresses.ts";
import { applyFirewall } from "./firewall.ts";
import { networkDirectory } from "./hostState.ts";
import { openLinks } from "./links.ts";
import { createNetworkNamespace, inside } from "./namespaces.ts";
import { macOf } from "./veth.ts";

/**
 * Why this host cannot have bridge networks; undefined where it can. Tried once a boot, in a network namespace of its own that nobody sees:
 * a bridge, and a firewall of every kind of rule.
 */
export function bridgeRefusal(linux: Linux): string | undefined {
  if (userId() !== 0) return "only root may change the host's network";
  const path = `${networkDirectory()}/probe`;
  const key = `1 ${readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()} ${process.getuid?.()}`; // 1: form of the answer
  try {
    const [known, ...answer] = readFileSync(path, "utf8").split("\n");
    if (known === key) return answer.join("\n") || undefined;
  } catch {
    // not tried yet
  }
  const refusal = tryBridge(linux);
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
    inside(linux, namespace, () => {
      const links = openLinks(linux);
      const bridge = links.addBridge("probe", { alias: "", mtu: 1500, mac: macOf(subnet.address) });
      links.addAddress(bridge.index, subnet);
      links.close();
      applyFirewall(linux, {
        bridges: [{ device: "probe", subnets: [subnet], internal: false, masquerade: true }],
        ports: [{ protocol: "tcp", first: 1, last: 2, address: "192.0.2.2", port: 3 }],
      });
    });
    return undefined;
  } catch (error) {
    if (error instanceof LinuxError) return error.message;
    throw error;
  } finally {
    if (namespace !== undefined) linux.close(namespace);
  }
}
