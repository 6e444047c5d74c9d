import { totalmem } from "node:os";
import type { ContainerRecord } from "../../store/Store.ts";
import { containerCgroups } from "./containerCgroup.ts";
import { containerOptions } from "./ContainerOptions.ts";
import { type Usage, usageOf } from "./containerProcesses.ts";
import { isUp, refreshContainer } from "./containerState.ts";
import type { Engine } from "../Engine.ts";
import { readOr } from "../../runtime/readOr.ts";

export interface ContainerStats {
  record: ContainerRecord;
  /** 100 is one processor. */
  cpuPercent: number;
  memory: number;
  memoryLimit: number;
  usage: Usage;
}

/** getconf CLK_TCK: 100 on every Linux that we run on. */
const TICKS = 100;

/** Looks at containers again and again: each look gives what they did since the one before, the first of all nothing but what they have. */
export function createStats(engine: Engine): { look(names: readonly string[], all: boolean): ContainerStats[] } {
  const before = new Map<string, { ticks: number; at: number }>();
  return {
    look(names, all) {
      const { containers } = engine.store;
      const found = names.length > 0 ? names.map((name) => containers.find(name)) : containers.list();
      return found
        .map((record) => refreshContainer(engine, record))
        .filter((record) => names.length > 0 || all || isUp(record))
        .map(statsOf);
    },
  };

  function statsOf(record: ContainerRecord): ContainerStats {
    const usage = usageOf(engine, record);
    const at = performance.now();
    const last = before.get(record.id);
    before.set(record.id, { ticks: usage.cpuTicks, at });
    const seconds = last === undefined ? 0 : (at - last.at) / 1000;
    const ticks = last === undefined ? 0 : Math.max(0, usage.cpuTicks - last.ticks);
    const limit = containerOptions(record).resources?.memory?.limit;
    return {
      record,
      cpuPercent: seconds > 0 ? (ticks / TICKS / seconds) * 100 : 0,
      memory: isUp(record) ? (cgroupMemory(record) ?? usage.memory) : 0,
      memoryLimit: isUp(record) ? Math.min(limit ?? Number.POSITIVE_INFINITY, totalmem()) : 0,
      usage,
    };
  }

  /** Docker's: what the group has less the page cache that could go at once. */
  function cgroupMemory(record: ContainerRecord): number | undefined {
    for (const directory of containerCgroups(engine.store.containers.directory(record.id))) {
      for (const [file, inactive] of [
        ["memory.current", "inactive_file"],
        ["memory.usage_in_bytes", "total_inactive_file"],
      ] as const) {
        const used = readOr(`${directory}/${file}`);
        if (used === "") continue;
        const cache = new RegExp(`^${inactive} (\\d+)`, "m").exec(readOr(`${directory}/memory.stat`))?.[1];
        return Math.max(0, Number(used) - Number(cache ?? 0));
      }
    }
    return undefined;
  }
}
