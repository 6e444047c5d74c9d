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

/**
 * Tells the DNS server of the bridge `device` about a container, in place of what it knew of it before, and starts it where it does not run:
 * one process serves all networks of the host. `gateways`: the addresses that it answers at. Under the network lock.
 */
export function addDnsEntry(device: string, gateways: string[], entry: DnsEntry, links: readonly Link[]): void {
  const lines = liveLines(device, links).filter((line) => !line.startsWith(`${entry.container} `));
  const columns = [entry.container, entry.address, entry.address6 ?? "", entry.names.join(",")];
  if (entry.servers.length > 0) columns.push(entry.servers.join(","));
  write(device, gateways, [...lines, columns.join(" ")]);
  refresh();
}

/** Takes a container, and those that have ended unseen, out of the networks it was in. True where something was there. Under the network lock. */
export function removeDnsEntries(
  container: string | undefined,
  links: readonly Link[],
  devices = dnsDevices(),
): boolean {
  let changed = false;
  for (const device of devices) {
    const all = linesOf(device);
    if (all === undefined) continue;
    const kept = liveLines(device, links).filter((line) => !line.startsWith(`${container} `));
    if (kept.length === all.entries.length) continue;
    changed = true;
    write(device, all.gateways, kept);
  }
  if (changed) refresh();
  return changed;
}

export function dnsDevices(): string[] {
  try {
    return readdirSync(directory()).filter((name) => name !== PID_FILE && !name.includes("."));
  } catch {
    return []; // never used
  }
}

const PID_FILE = "aardvark.pid";

function directory(): string {
  return `${networkDirectory()}/dns`;
}

function linesOf(device: string): { gateways: string[]; entries: string[] } | undefined {
  let text: string;
  try {
    text = readFileSync(`${directory()}/${device}`, "utf8");
  } catch {
    return undefined; // nobody is in this network
  }
  const [head = "", ...entries] = text.split("\n").filter((line) => line !== "");
  return { gateways: head.split(","), entries };
}

/** Those whose container still has its address. */
function liveLines(device: string, links: readonly Link[]): string[] {
  const names = new Set(links.map((link) => link.name));
  return (linesOf(device)?.entries ?? []).filter((line) => names.has(vethName(line.split(" ")[1] ?? "")));
}

function write(device: string, gateways: string[], entries: string[]): void {
  const path = `${directory()}/${device}`;
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
  const devices = dnsDevices();
  if (pid !== undefined) process.kill(pid, devices.length === 0 ? "SIGTERM" : "SIGHUP");
  else if (devices.length > 0) start();
  if (devices.length === 0) rmSync(`${directory()}/${PID_FILE}`, { force: true });
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
