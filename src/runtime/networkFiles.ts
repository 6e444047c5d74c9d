import { readFileSync } from "node:fs";
import { hostname } from "node:os";

/** The files that a container gets for its network, in Docker's form. */
export interface NetworkFiles {
  hosts: string;
  hostname: string;
  resolvConf: string;
}

const LOCAL = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";
const MULTICAST = "fe00::\tip6-localnet\nff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n";

/** `addHosts` as `--add-host` gives them, see {@link parseAddHost}. `ownHosts`: take the host's own /etc/hosts as the start. */
export function networkFiles(options: { hostname: string; addHosts: string[]; ownHosts: boolean }): NetworkFiles {
  let hosts = options.ownHosts ? readOr("/etc/hosts", LOCAL) : LOCAL + MULTICAST;
  if (!hosts.endsWith("\n")) hosts += "\n";
  for (const entry of options.addHosts) {
    const [name, address] = parseAddHost(entry);
    hosts += `${address}\t${name}\n`;
  }
  // A name of its own has to resolve, or sudo and friends complain.
  if (options.hostname !== hostname()) hosts += `127.0.1.1\t${options.hostname}\n`;
  return { hosts, hostname: `${options.hostname}\n`, resolvConf: readOr("/etc/resolv.conf", "") };
}

/** The files of a build step, in BuildKit's form. */
export function stepNetworkFiles(options: { hostname: string; addHosts: string[] }): NetworkFiles {
  const hosts = [
    `127.0.0.1\tlocalhost ${options.hostname}`,
    "::1\tlocalhost ip6-localhost ip6-loopback",
    ...options.addHosts.map(parseAddHost).map(([name, address]) => `${address}\t${name}`),
  ];
  return {
    hosts: `${hosts.join("\n")}\n`,
    hostname: `${options.hostname}\n`,
    resolvConf: readOr("/etc/resolv.conf", ""),
  };
}

/** `name:address` or `name=address`; the address may be IPv6, in brackets or not; `host-gateway` is the host's loopback, as the network is the host's. */
export function parseAddHost(entry: string): [name: string, address: string] {
  const at = entry.search(/[:=]/);
  const name = entry.slice(0, at);
  const address = entry.slice(at + 1).replace(/^\[(.*)\]$/, "$1");
  return [name, address === "host-gateway" ? "127.0.0.1" : address];
}

function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return otherwise; // a host without the file: scratch-like systems have none
  }
}
