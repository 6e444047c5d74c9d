import { readdirSync } from "node:fs";
import { join } from "node:path";
import { AT_FDCWD } from "../../linux/constants.ts";
import { isErrno } from "../../linux/LinuxError.ts";
import { diskUsage } from "../../store/diskUsage.ts";
import { containerOptions } from "../containers/ContainerOptions.ts";
import type { Engine } from "../Engine.ts";
import type { Pruned } from "./pruneContainers.ts";
import type { PruneFilters } from "./pruneFilters.ts";

/**
 * Removes the volumes that no container has: those without a name of their own; with `all` those with one, too. Under the write lock, in which
 * `createContainer` looks once more for the volumes that it counts on.
 */
export function pruneVolumes(engine: Engine, options: PruneFilters & { all: boolean }): Pruned {
  const { store } = engine;
  const pruned: Pruned = { deleted: [], freed: 0 };
  const lease = store.lease("prune volumes");
  try {
    for (const name of readdirSync(join(store.root, "volumes")).sort()) {
      const { anonymous, labels } = aboutVolume(engine, name);
      if ((!anonymous && !options.all) || !options.matchesLabels(labels)) continue;
      const path = join(store.root, "volumes", name);
      const size = diskUsage(store.linux, path);
      const aside = join(lease.directory(), "volume");
      const went = store.transaction(() => {
        if (isUsed(engine, name)) return false;
        try {
          store.linux.renameat2(AT_FDCWD, path, AT_FDCWD, aside);
        } catch (error) {
          if (isErrno(error, "ENOENT")) return false; // another prune was quicker
          throw error;
        }
        store.settings.delete(`volume ${name}`);
        return true;
      });
      if (!went) continue;
      pruned.deleted.push(name);
      pruned.freed += size;
    }
  } finally {
    lease.release();
  }
  return pruned;
}

function isUsed(engine: Engine, name: string): boolean {
  return engine.store.containers
    .list()
    .some((record) => containerOptions(record).mounts.some((mount) => mount.name === name));
}

/** One that nothing is recorded of has no name of its own where its name is one that we make up. */
function aboutVolume(engine: Engine, name: string): { anonymous: boolean; labels: Record<string, string> } {
  const text = engine.store.settings.get(`volume ${name}`);
  const { anonymous = /^[0-9a-f]{64}$/.test(name), labels = {} } =
    text === undefined ? {} : (JSON.parse(text) as { anonymous?: boolean; labels?: Record<string, string> });
  return { anonymous, labels };
}
