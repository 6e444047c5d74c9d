import { processStat } from "../../linux/processStart.ts";
import { readdirSync, readlinkSync } from "node:fs";
import { cgroupPids } from "../../runtime/cgroup.ts";
import { cgroupUsage } from "../../runtime/cgroupUsage.ts";
import type { ContainerRecord } from "../../store/Store.ts";
import { isTracked } from "./applySettings.ts";
import { containerCgroups } from "./containerCgroup.ts";
import type { Engine } from "../Engine.ts";
import { readOr } from "../../runtime/readOr.ts";

/**
 * Host pids of all processes of a running container: those in its process namespace, whatever started them, or, where it has none of its own,
 * those in its control group. Of two that share a namespace each shows all.
 */
export function containerProcesses(engine: Engine, record: ContainerRecord): number[] {
  if (record.pid === undefined || record.pid === 0) return [];
  if (isTracked(record)) {
    const pids = cgroupPids(containerCgroups(engine.store.containers.directory(record.id)));
    return pids.length > 0 ? pids : [record.pid];
  }
  const namespace = namespaceOf(record.pid);
  if (namespace === undefined) return [];
  return readdirSync("/proc")
    .filter((name) => /^[0-9]+$/.test(name) && namespaceOf(Number(name)) === namespace)
    .map(Number);
}

function namespaceOf(pid: number): string | undefined {
  return linkOf(`/proc/${pid}/ns/pid`);
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined; // ended just now
  }
}

/** getconf CLK_TCK: 100 on every Linux that we run on. */
export const TICKS = 100;

export interface Usage {
  /** Clock ticks of processor time of its processes, where there is no group of those that live. */
  cpuTicks: number;
  memory: number;
  pids: number;
  netIn: number;
  netOut: number;
  blockIn: number;
  blockOut: number;
}

/** What its processes use, by its control group where it has one, and by /proc. */
export function usageOf(engine: Engine, record: ContainerRecord): Usage {
  const usage: Usage = { cpuTicks: 0, memory: 0, pids: 0, netIn: 0, netOut: 0, blockIn: 0, blockOut: 0 };
  const group = cgroupUsage(containerCgroups(engine.store.containers.directory(record.id)));
  for (const pid of containerProcesses(engine, record)) {
    const fields = processStat(pid)?.map(Number);
    if (fields === undefined) continue;
    // proc(5): 14 utime, 15 stime, 16 cutime, 17 cstime, 20 num_threads; ours begin at field 3.
    usage.cpuTicks += (fields[11] ?? 0) + (fields[12] ?? 0) + (fields[13] ?? 0) + (fields[14] ?? 0);
    usage.pids += fields[17] ?? 1;
    if (group.memory === undefined)
      usage.memory += 1024 * Number(/^Pss:\s+(\d+)/m.exec(readOr(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0);
    const io = readOr(`/proc/${pid}/io`);
    usage.blockIn += Number(/^read_bytes: (\d+)/m.exec(io)?.[1] ?? 0);
    usage.blockOut += Number(/^write_bytes: (\d+)/m.exec(io)?.[1] ?? 0);
  }
  const { cpuMicroseconds, ...counted } = group;
  Object.assign(usage, counted);
  if (cpuMicroseconds !== undefined) usage.cpuTicks = (cpuMicroseconds / 1_000_000) * TICKS;
  // Of the host's own network, as docker, nothing is counted as the container's.
  if (linkOf(`/proc/${record.pid}/ns/net`) === linkOf("/proc/self/ns/net")) return usage;
  for (const line of readOr(`/proc/${record.pid}/net/dev`).split("\n").slice(2)) {
    const [name = "", rest = ""] = line.split(":");
    if (name.trim() === "lo" || rest === "") continue;
    const numbers = rest.trim().split(/\s+/).map(Number);
    usage.netIn += numbers[0] ?? 0;
    usage.netOut += numbers[8] ?? 0;
  }
  return usage;
}
