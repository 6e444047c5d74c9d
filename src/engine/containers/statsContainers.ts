import { totalmem } from "node:os";
import type { ContainerRecord } from "../../store/Store.ts";
import { containerOptions } from "./ContainerOptions.ts";
import { TICKS, type Usage, usageOf } from "./containerProcesses.ts";
import { isUp, refreshContainer } from "./containerState.ts";
import type { Engine } from "../Engine.ts";

export interface ContainerStats {
  record: ContainerRecord;
  /** 100 is one processor. */
  cpuPercent: number;
  memory: number;
  memoryLimit: number;
  usage: Usage;
}

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
      memory: isUp(record) ? usage.memory : 0,
      memoryLimit: isUp(record) ? Math.min(limit ?? Number.POSITIVE_INFINITY, totalmem()) : 0,
      usage,
    };
  }
}
