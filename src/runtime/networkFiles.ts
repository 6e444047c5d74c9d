import { writeFileSync } from "node:fs";
import { hostHostname } from "./hostHostname.ts";
import { readOr } from "./readOr.ts";
import type { SpecMount } from "./spec.ts";

/** The files that a container gets for its network, in Docker's form. */
export interface NetworkFiles {
  hosts: string;
  hostname: string;
  resolvConf: string;
}

export interface NetworkFilesOptions {
  hostname: string;
  domainname?: string;
  /** As `--add-host` gives them, see {@link parseAddHost}. */
  addHosts: string[];
  /** The network is the host's, and so are its names. */
  ownHosts: boolean;
  /** Its own addresses, to which its host name resolves. */
  addresses?: string[];
  /** What `host-gateway` means: the host as the container sees it. */
  hostGateway?: string;
  dns?: DnsOptions;
}

export interface DnsOptions {
  /** Servers; none: the host's, those at the host's loopback left out. */
  servers: string[];
  /** `--dns-search`; `.` alone: none. */
  search: string[];
  /** `--dns-option`. */
  options: string[];
  /** The servers know the names of containers, of which none has a dot. */
  containerNames?: boolean;
}

const LOCAL = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";
const MULTICAST = "fe00::\tip6-localnet\nff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n";

export function networkFiles(options: NetworkFilesOptions): NetworkFiles {
  let hosts = options.ownHosts ? readOr("/etc/hosts", LOCAL) : LOCAL + MULTICAST;
  if (!hosts.endsWith("\n")) hosts += "\n";
  for (const entry of options.addHosts) {
    const [name, address] = parseAddHost(entry, options.hostGateway);
    hosts += `${address}\t${name}\n`;
  }
  const addresses = options.addresses ?? [];
  for (const address of addresses) hosts += hostsLine(address, options);
  // A name of its own has to resolve, or sudo and friends complain.
  if (addresses.length === 0 && options.hostname !== hostHostname()) hosts += `127.0.1.1\t${options.hostname}\n`;
  return { hosts, hostname: `${options.hostname}\n`, resolvConf: resolvConf(options.dns, options.ownHosts) };
}

/** Into a directory, for `networkFileMounts` of it. */
export function writeNetworkFiles(directory: string, { hosts, hostname, resolvConf }: NetworkFiles): void {
  writeFileSync(`${directory}/hosts`, hosts);
  writeFileSync(`${directory}/hostname`, hostname);
  writeFileSync(`${directory}/resolv.conf`, resolvConf);
}

/** How the files of the directory come to be a container's own. */
export function networkFileMounts(directory: string): SpecMount[] {
  return ["resolv.conf", "hostname", "hosts"].map((name) => ({
    target: `/etc/${name}`,
    type: "bind",
    source: `${directory}/${name}`,
    readOnly: false,
  }));
}

/** The line by which a container's own name leads to one of its addresses. */
export function hostsLine(address: string, names: { hostname: string; domainname?: string }): string {
  const full = names.domainname ? `${names.hostname}.${names.domainname} ` : "";
  return `${address}\t${full}${names.hostname}\n`;
}

/** The files of a build step, in BuildKit's form. */
export function stepNetworkFiles(options: {
  hostname: string;
  addHosts: string[];
  hostGateway?: string;
}): NetworkFiles {
  const hosts = [
    `127.0.0.1\tlocalhost ${options.hostname}`,
    "::1\tlocalhost ip6-localhost ip6-loopback",
    ...options.addHosts
      .map((entry) => parseAddHost(entry, options.hostGateway))
      .map(([name, address]) => `${address}\t${name}`),
  ];
  return {
    hosts: `${hosts.join("\n")}\n`,
    hostname: `${options.hostname}\n`,
    resolvConf: readOr("/etc/resolv.conf"),
  };
}

/** `name:address` or `name=address`; the address may be IPv6, in brackets or not; `host-gateway` is the host as seen from inside. */
export function parseAddHost(entry: string, hostGateway = "127.0.0.1"): [name: string, address: string] {
  const at = entry.search(/[:=]/);
  const name = entry.slice(0, at);
  const address = entry.slice(at + 1).replace(/^\[(.*)\]$/, "$1");
  return [name, address === "host-gateway" ? hostGateway : address];
}

/** Docker's, for a host that has no server but at its own loopback. */
const PUBLIC_SERVERS = ["8.8.8.8", "8.8.4.4"];

/** Its content. `ownNetwork`: that of the host, whose loopback is its own, too. */
export function resolvConf(
  dns: DnsOptions | undefined,
  ownNetwork: boolean,
  host: { main: string; systemd: string } = {
    main: readOr("/etc/resolv.conf"),
    systemd: readOr("/run/systemd/resolve/resolv.conf"),
  },
): string {
  const given = dns ?? { servers: [], search: [], options: [] };
  const untouched = given.servers.length + given.search.length + given.options.length === 0;
  if (ownNetwork && untouched) return host.main;
  const isLocal = (server: string): boolean => server.startsWith("127.") || server === "::1";
  const ofHost = values(host.main, "nameserver");
  // systemd-resolved names itself there and what it asks in a file of its own.
  const all = ofHost.length > 0 && ofHost.every(isLocal) ? values(host.systemd, "nameserver") : ofHost;
  const usable = ownNetwork ? ofHost : all.filter((server) => !isLocal(server));
  const servers = given.servers.length > 0 ? given.servers : usable.length > 0 ? usable : PUBLIC_SERVERS;
  const search = given.search.length > 0 ? given.search.filter((each) => each !== ".") : lastOf(host.main, "search");
  const options = given.options.length > 0 ? [...given.options] : lastOf(host.main, "options");
  if (given.containerNames === true && !options.some((option) => option.startsWith("ndots:"))) options.push("ndots:0");
  return [
    ...servers.map((server) => `nameserver ${server}\n`),
    ...(search.length > 0 ? [`search ${search.join(" ")}\n`] : []),
    ...(options.length > 0 ? [`options ${options.join(" ")}\n`] : []),
  ].join("");
}

function values(text: string, keyword: string): string[] {
  return text.split("\n").flatMap((line) => {
    const [first, second] = line.trim().split(/\s+/);
    return first === keyword && second !== undefined ? [second] : [];
  });
}

/** Words of the last such line, which is the one that counts. */
function lastOf(text: string, keyword: string): string[] {
  const line = text
    .split("\n")
    .map((each) => each.trim().split(/\s+/))
    .findLast(([first]) => first === keyword);
  return line?.slice(1) ?? [];
}
