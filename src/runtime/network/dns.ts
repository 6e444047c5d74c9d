import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { findProgram } from "../findProgram.ts";
import { inBridgeNamespace } from "./bridgeNamespace.ts";
import { networkDirectory } from "./hostState.ts";
import type { Link } from "./links.ts";
import { vethName } from "./veth.ts";

/** What a network's DNS server knows of one container. */
export interface DnsEntry {
  container: string;
  address: string;
  address6?: string;
  names: string[];
  /** Servers that it asks for what it does not know; none: the host's. */
  servers: string[];
}

const PLACES = ["/usr/libexec/podman/aardvark-dns", "/usr/lib/podman/aardvark-dns"];

export function findDnsServer(): string | undefined {
  return findProgram("aardvark-dns") ?? PLACES.find(existsSync);
}

/** @throws SlipwayError `DNS_MISSING` */
export function requireDnsServer(): string {
  const found = findDnsServer();
  if (found !== undefined) return found;
  throw new SlipwayError("DNS_MISSING", "aardvark-dns, by which containers find each other by name, is not installed", {
    hint: "Install it: apt-get install aardvark-dns",
    exitCode: 125,
  });
}

/** A network whose names are served. */
export interface DnsNetwork {
  device: string;
  /** The addresses that the server answers at. */
  gateways: string[];
  /** It answers with its own names alone: a question passed on would be a way out. */
  internal: boolean;
}

/** aardvark-dns 1.11 and newer passes on nothing of a network whose file ends so. */
const INTERNAL_SUFFIX = "%int";
/** What older ones ask then: the kernel lets nobody send there who has not asked for it, so they have no answer at once. */
const NOWHERE = "255.255.255.255";

/**
 * Tells the network's DNS server about a container, in place of what it knew of it before, and starts it where it does not run: one process serves
 * all networks of the host. Under the network lock.
 */
export function addDnsEntry(network: DnsNetwork, entry: DnsEntry, links: readonly Link[]): void {
  const file = network.internal ? `${network.device}${INTERNAL_SUFFIX}` : network.device;
  const lines = liveLines(file, links).filter((line) => !line.startsWith(`${entry.container} `));
  const columns = [entry.container, entry.address, entry.address6 ?? "", entry.names.join(",")];
  const servers = network.internal ? [NOWHERE] : entry.servers;
  if (servers.length > 0) columns.push(servers.join(","));
  write(file, network.gateways, [...lines, columns.join(" ")]);
  refresh();
}

/** Takes a container, and those that have ended unseen, out of the networks it was in. True where something was there. Under the network lock. */
export function removeDnsEntries(
  container: string | undefined,
  links: readonly Link[],
  devices = dnsDevices(),
): boolean {
  let changed = false;
  for (const file of networkFiles().filter((name) => devices.includes(deviceOf(name)))) {
    const all = linesOf(file);
    if (all === undefined) continue;
    const kept = liveLines(file, links).filter((line) => !line.startsWith(`${container} `));
    if (kept.length === all.entries.length) continue;
    changed = true;
    write(file, all.gateways, kept);
  }
  if (changed) refresh();
  return changed;
}

/** The networks that have a server, by their bridges. */
export function dnsDevices(): string[] {
  return networkFiles().map(deviceOf);
}

/** Addresses of those that the server of this bridge knows. */
export function dnsClients(device: string): string[] {
  const lines = networkFiles().flatMap((file) => (deviceOf(file) === device ? (linesOf(file)?.entries ?? []) : []));
  return lines.flatMap((line) => line.split(" ").slice(1, 3)).filter((address) => address !== "");
}

function networkFiles(): string[] {
  try {
    return readdirSync(directory()).filter((name) => name !== PID_FILE && !name.includes("."));
  } catch {
    return []; // never used
  }
}

function deviceOf(file: string): string {
  return file.endsWith(INTERNAL_SUFFIX) ? file.slice(0, -INTERNAL_SUFFIX.length) : file;
}

const PID_FILE = "aardvark.pid";

function directory(): string {
  return `${networkDirectory()}/dns`;
}

function linesOf(file: string): { gateways: string[]; entries: string[] } | undefined {
  let text: string;
  try {
    text = readFileSync(`${directory()}/${file}`, "utf8");
  } catch {
    return undefined; // nobody is in this network
  }
  const [head = "", ...entries] = text.split("\n").filter((line) => line !== "");
  return { gateways: head.split(","), entries };
}

/** Those whose container still has its address. */
function liveLines(file: string, links: readonly Link[]): string[] {
  const names = new Set(links.map((link) => link.name));
  return (linesOf(file)?.entries ?? []).filter((line) => names.has(vethName(line.split(" ")[1] ?? "")));
}

function write(file: string, gateways: string[], entries: string[]): void {
  const path = `${directory()}/${file}`;
  if (entries.length === 0) {
    rmSync(path, { force: true });
    return;
  }
  mkdirSync(directory(), { recursive: true, mode: 0o700 });
  // Aside in the folder above: every file of this one is a network.
  const aside = `${networkDirectory()}/dns.${process.pid}`;
  writeFileSync(aside, `${gateways.join(",")}\n${entries.join("\n")}\n`);
  renameSync(aside, path);
}

/** The server reads its files again; with no file left it ends. */
function refresh(): void {
  const pid = serverPid();
  const files = networkFiles();
  if (pid !== undefined) process.kill(pid, files.length === 0 ? "SIGTERM" : "SIGHUP");
  else if (files.length > 0) start();
  if (files.length === 0) rmSync(`${directory()}/${PID_FILE}`, { force: true });
}

/** Resolves names when it returns: the program goes to the background once it listens. */
function start(): void {
  const program = requireDnsServer();
  const child = Bun.spawnSync(inBridgeNamespace([program, "--config", directory(), "--port", "53", "run"]), {
    cwd: "/",
    env: {},
    stdio: ["ignore", "ignore", "ignore"],
    timeout: 10_000,
  });
  if (child.exitCode === 0) return;
  throw new SlipwayError("DNS_FAILED", `aardvark-dns does not start (exit code ${child.exitCode})`, {
    hint: "Port 53 of the network's gateway address may be taken: another DNS server may listen on all addresses of the host.",
    exitCode: 125,
  });
}

function serverPid(): number | undefined {
  try {
    const pid = Number(readFileSync(`${directory()}/${PID_FILE}`, "utf8"));
    // The number may be somebody else's by now.
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(directory()) ? pid : undefined;
  } catch {
    return undefined; // never started, or ended
  }
}
