import { isSlipwayError } from "../../oci/SlipwayError.ts";
import { diskUsage } from "../../store/diskUsage.ts";
import { containerOptions } from "../containers/ContainerOptions.ts";
import { attachLock } from "../containers/containerState.ts";
import type { Engine } from "../Engine.ts";
import { listContainers } from "../containers/listContainers.ts";
import { removeContainer } from "../containers/removeContainer.ts";
import type { PruneFilters } from "./pruneFilters.ts";

export interface Pruned {
  /** As docker lists them. */
  deleted: string[];
  /** Bytes on the disk. */
  freed: number;
}

const STOPPED = ["created", "exited", "dead"];

/** Removes all containers that do not run; their volumes stay. */
export async function pruneContainers(engine: Engine, { before, matchesLabels }: PruneFilters): Promise<Pruned> {
  const { store } = engine;
  const pruned: Pruned = { deleted: [], freed: 0 };
  for (const { id, status, created, ...record } of listContainers(engine, { all: true })) {
    if (!STOPPED.includes(status) || (before !== undefined && created >= before)) continue;
    if (!matchesLabels(containerOptions({ id, status, created, ...record }).labels)) continue;
    const unlock = store.tryLock(attachLock(id));
    if (unlock === undefined) continue; // it is about to start, or taken away by who ran it
    const size = diskUsage(store.linux, store.containers.directory(id));
    try {
      await removeContainer(engine, id);
    } catch (error) {
      // Started, or removed, by another process since it was listed.
      if (isSlipwayError(error, "CONTAINER_RUNNING") || isSlipwayError(error, "CONTAINER_NOT_FOUND")) continue;
      throw error;
    } finally {
      unlock();
    }
    pruned.deleted.push(id);
    pruned.freed += size;
  }
  return pruned;
}
