import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { AT_FDCWD, LOCK_EX, O_CLOEXEC, O_CREAT, O_RDWR } from "../../linux/constants.ts";
import type { Linux } from "../../linux/Linux.ts";
import { runDirectory } from "../runtimeCommand.ts";
import type { FirewallBridge, PublishedPorts } from "./firewall.ts";

/** A bridge as it was made: what the firewall has to know of it, and whose it is. Subnets as text. */
export interface BridgeRecord extends Omit<FirewallBridge, "subnets"> {
  /** Per subnet the host's own address in it: `172.17.0.1/16`. */
  gateways: string[];
  /** The store whose network it is; the default bridge is everybody's and has none. */
  root?: string;
}

/** What a running container has published. */
export interface PortsRecord {
  /** The host's end of the pair by which it is reached: while that is there, the ports are right. */
  veth: string;
  ports: PublishedPorts[];
}

/** What slipway keeps of the host's network, for all stores: in /run, so that a reboot ends it together with the devices that it describes. */
export function networkDirectory(): string {
  return `${runDirectory()}/network`;
}

/** Runs `work`, which does not wait for anything, while no other process changes the host's network. */
export function withNetworkLock<T>(linux: Linux, work: () => T): T {
  mkdirSync(networkDirectory(), { recursive: true, mode: 0o700 });
  const fd = linux.openat(AT_FDCWD, `${networkDirectory()}/lock`, O_RDWR | O_CREAT | O_CLOEXEC, 0o600);
  try {
    linux.flock(fd, LOCK_EX);
    return work();
  } finally {
    linux.close(fd);
  }
}

/** Small JSON files under one folder, each whole or not there. */
export function records<Value>(folder: "bridges" | "ports") {
  const directory = `${networkDirectory()}/${folder}`;
  const path = (name: string): string => `${directory}/${name}.json`;
  const get = (name: string): Value | undefined => {
    try {
      return JSON.parse(readFileSync(path(name), "utf8")) as Value;
    } catch {
      return undefined; // not there
    }
  };
  return {
    get,
    all(): [name: string, value: Value][] {
      return namesIn(directory).flatMap((file): [string, Value][] => {
        const name = file.slice(0, -".json".length);
        const value = file.endsWith(".json") ? get(name) : undefined;
        return value === undefined ? [] : [[name, value]];
      });
    },
    set(name: string, value: Value): void {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      const aside = `${directory}/${name}.${process.pid}`;
      writeFileSync(aside, JSON.stringify(value));
      renameSync(aside, path(name));
    },
    remove(name: string): void {
      rmSync(path(name), { force: true });
    },
  };
}

export const bridgeRecords = () => records<BridgeRecord>("bridges");
export const portsRecords = () => records<PortsRecord>("ports");

/** Whether something of the container's is left in the host's network: its ports, its names. */
export function isHeldByHost(container: string): boolean {
  if (portsRecords().get(container) !== undefined) return true;
  const names = `${networkDirectory()}/dns`;
  return namesIn(names).some((file) => readFileSync(`${names}/${file}`, "utf8").includes(container));
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory).sort();
  } catch {
    return []; // never used
  }
}
