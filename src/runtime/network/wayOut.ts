import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import type { Linux } from "../../linux/Linux.ts";
import { isAlive, processStart } from "../../linux/processStart.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { findProgram } from "../findProgram.ts";
import { readOr } from "../readOr.ts";
import { formatAddress, networkOf, parseSubnet, type Subnet } from "./addresses.ts";
import { bridgeNamespacePath } from "./bridgeNamespace.ts";
import { isRouted } from "./endpoints.ts";
import { networkDirectory } from "./hostState.ts";
import { openLinks } from "./links.ts";

/** The program that leads what goes out of a plain user's bridges to the host's sockets: one for all of the user's containers. */
interface WayOut {
  pid: number;
  start: number;
  /** Of the network namespace that it serves. */
  path: string;
  /** Address at which it answers as the host's DNS server does, be that at the host's loopback. */
  dns: string;
}

/** Of each the first that no network of the host has: `.1` or `.2` leads out, `.3` answers DNS, `.100` is the namespace's own. */
const SUBNETS = ["10.0.2.0/24", "10.0.3.0/24", "192.168.250.0/24", "172.31.250.0/24"];
const DEVICE = "way0";
const TUN = "/dev/net/tun";

/**
 * What keeps a plain user's bridges from a way out, and the command that mends it; undefined where nothing does.
 * A pasta of before September 2024 (no `--map-guest-addr`) is passed over: it reaches nothing but by the device of the default route, and
 * Debian 12's dies at its first connection where the host has no IPv6.
 */
export function wayOutRefusal(): { reason: string; remedy: string } | undefined {
  if (!existsSync(TUN)) return { reason: `there is no ${TUN}`, remedy: "modprobe tun" };
  if (!isWritable(TUN)) return { reason: `this user may not open ${TUN}`, remedy: `chmod 0666 ${TUN}` };
  if (findProgram("pasta") === undefined && findProgram("slirp4netns") === undefined)
    return { reason: "neither pasta nor slirp4netns is installed", remedy: "apt-get install passt" };
  if (findProgram("slirp4netns") === undefined && !isPastaUsable())
    return { reason: "this host's pasta is older than September 2024", remedy: "apt-get install slirp4netns" };
  return undefined;
}

/** For `slipway info`. */
export function describeWayOut(): string {
  return isPastaUsable() ? "pasta" : "slirp4netns";
}

/** Knows the options that we give it; asked once a start of it, not once a container. */
export function isPastaUsable(): boolean {
  const pasta = findProgram("pasta");
  if (pasta === undefined) return false;
  const { stdout, stderr } = Bun.spawnSync([pasta, "--help"], { env: {}, stdio: ["ignore", "pipe", "pipe"] });
  return `${stdout}${stderr}`.includes("--map-guest-addr");
}

/**
 * The way out of the bridges' namespace, made where it is not there: by pasta, else slirp4netns. It lasts as long as the user's namespace.
 * Nothing is done for root, whose bridges are the host's. Under the network lock. @throws SlipwayError `WAY_OUT_FAILED`
 */
export function ensureWayOut(linux: Linux): void {
  const path = bridgeNamespacePath();
  if (path === undefined || readWayOut()?.path === path) return;
  const left = readWayOut(); // of a namespace that has ended
  if (left !== undefined) process.kill(left.pid, "SIGTERM");
  const host = openLinks(linux);
  const subnet = SUBNETS.map((text) => parseSubnet(text) as Subnet).find((each) => !isRouted(host, each));
  host.close();
  if (subnet === undefined) throw failed("the host has routes to all networks that it could use");
  const at = (place: number): string => formatAddress(networkOf(subnet) + BigInt(place), 4);
  mkdirSync(networkDirectory(), { recursive: true, mode: 0o700 });
  const pid = isPastaUsable() ? startPasta(path, at) : startSlirp(linux, path, at(0));
  const start = processStart(pid);
  if (start === undefined) throw failed("it has ended at once");
  const made: WayOut = { pid, start, path, dns: at(3) };
  writeFileSync(recordPath(), JSON.stringify(made), { mode: 0o600 });
}

/** Servers for who must not ask those of the host directly: where they are at the host's loopback. None: ask the host's. */
export function serversByWayOut(): string[] {
  if (bridgeNamespacePath() === undefined) return [];
  const isLocal = /^\s*nameserver\s+(127\.|::1\s*$)/m.test(readOr("/etc/resolv.conf"));
  const dns = isLocal ? readWayOut()?.dns : undefined;
  return dns === undefined ? [] : [dns];
}

/** The host's own address, by which a plain user's containers reach it; undefined where it leads nowhere. */
export function hostAddress(linux: Linux): string | undefined {
  const host = openLinks(linux);
  try {
    const device = host.defaultDevice();
    const found = host.addresses().find(({ index, subnet }) => index === device && subnet.family === 4)?.subnet;
    return found === undefined ? undefined : formatAddress(found.address, 4);
  } finally {
    host.close();
  }
}

const recordPath = (): string => `${networkDirectory()}/way-out`;

function readWayOut(): WayOut | undefined {
  try {
    const record = JSON.parse(readFileSync(recordPath(), "utf8")) as WayOut;
    return isAlive(record.pid, record.start) ? record : undefined;
  } catch {
    return undefined; // never started
  }
}

/** It goes to the background once it leads. What the host's loopback has stays the host's. */
function startPasta(path: string, at: (place: number) => string): number {
  const pidFile = `${networkDirectory()}/pasta.pid`;
  rmSync(pidFile, { force: true });
  const addresses = ["--address", at(100), "--netmask", "24", "--gateway", at(2), "--dns-forward", at(3)];
  runPasta([...addresses, "--ns-ifname", DEVICE, "-t", "none", "-u", "none", "--netns", path], pidFile);
  return Number(readFileSync(pidFile, "utf8"));
}

/** Comes back when it serves the network namespace. @throws SlipwayError `WAY_OUT_FAILED` */
export function runPasta(options: readonly string[], pidFile: string): void {
  const fixed = ["--config-net", "--quiet", "--no-map-gw", "-T", "none", "-U", "none", "--pid", pidFile];
  const child = Bun.spawnSync([findProgram("pasta") as string, ...fixed, ...options], {
    cwd: "/",
    env: {},
    stdio: ["ignore", "ignore", "pipe"],
    timeout: 10_000,
  });
  if (child.exitCode !== 0) throw failed(child.stderr.toString().trim() || `pasta ended with ${child.exitCode}`);
}

function startSlirp(linux: Linux, path: string, network: string): number {
  const [ready, told] = linux.pipe();
  const options = ["--configure", "--mtu=65520", "--disable-host-loopback", "--netns-type=path", "--ready-fd=3"];
  const child = Bun.spawn([findProgram("slirp4netns") as string, ...options, `--cidr=${network}/24`, path, DEVICE], {
    cwd: "/",
    env: {},
    stdio: ["ignore", "ignore", "ignore", told],
    detached: true,
  });
  child.unref();
  closeSync(told);
  try {
    if (readSync(ready, new Uint8Array(1)) === 0) throw failed("slirp4netns has ended");
  } finally {
    closeSync(ready);
  }
  return child.pid;
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function failed(why: string): SlipwayError {
  return new SlipwayError("WAY_OUT_FAILED", `the containers' network can have no way out: ${why}`, {
    hint: "A container that needs none is fine with --network none, one that may have the host's with --network host.",
    exitCode: 125,
  });
}
