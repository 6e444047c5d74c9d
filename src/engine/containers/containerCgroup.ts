import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cgroupName } from "../../runtime/cgroupName.ts";
import { limitsAnything, type Resources } from "../../runtime/resources.ts";
import type { ContainerRecord } from "../../store/Store.ts";
import { isTracked } from "./applySettings.ts";
import { containerOptions } from "./ContainerOptions.ts";
import type { Engine } from "../Engine.ts";

/**
 * Control groups that slipway itself makes for a container, where the runtime makes none: named in a file before they are made, so that
 * whoever takes the container away finds them after whatever end.
 */
export function containerCgroup(
  engine: Engine,
  record: ContainerRecord,
  limits: Resources,
): { join(pid: number): void } {
  const file = cgroupFile(engine.store.containers.directory(record.id));
  const { cgroupParent: parent } = containerOptions(record);
  const { cgroupTrees, joinCgroup, makeCgroup, prepareCgroups } = groups();
  prepareCgroups();
  writeFileSync(file, `${cgroupName(record.id, parent)}\n`);
  makeCgroup(record.id, limits, { parent, tracked: isTracked(record), trees: cgroupTrees() });
  // By the paths of then: the namespace may have changed.
  return { join: (pid) => joinCgroup(containerCgroups(engine.store.containers.directory(record.id)), pid) };
}

/**
 * Writes down, in the same way, the group that the runtime is about to make: what it uses and what became of it is read there.
 * @throws SlipwayError `LIMIT_UNAVAILABLE` where this host cannot apply a limit, with the name of its flag
 */
export function runtimeCgroup(engine: Engine, record: ContainerRecord): void {
  const { cgroupParent, resources } = containerOptions(record);
  const { devices: _, ...limits } = resources ?? {};
  if (limitsAnything(limits)) groups().checkLimits(limits);
  writeFileSync(cgroupFile(engine.store.containers.directory(record.id)), `${cgroupName(record.id, cgroupParent)}\n`);
}

/** A group of the cgroup2 tree (or the version 1 freezer) with the container's processes in it, made where it has none. */
export function freezerOf(engine: Engine, record: ContainerRecord): string[] {
  const directory = engine.store.containers.directory(record.id);
  groups().prepareCgroups();
  if (!existsSync(cgroupFile(directory))) writeFileSync(cgroupFile(directory), `${cgroupName(record.id)}\n`);
  const relative = readFileSync(cgroupFile(directory), "utf8").trim();
  return [groups().makeFreezer(relative)];
}

/** What knows the trees of control groups: loaded for a container that has groups of ours, as most have none. */
function groups(): typeof import("../../runtime/cgroup.ts") {
  return require("../../runtime/cgroup.ts") as typeof import("../../runtime/cgroup.ts");
}

function cgroupFile(directory: string): string {
  return `${directory}/cgroup`;
}

/** The directories of the container's own control groups, those that there are, by the paths of the mount namespace that we are in now. */
export function containerCgroups(directory: string): string[] {
  const file = cgroupFile(directory);
  if (!existsSync(file)) return [];
  const relative = readFileSync(file, "utf8").trim();
  if (relative === "") return [];
  const trees = groups().cgroupTrees();
  const mounts = new Set([...(trees.v2 === undefined ? [] : [trees.v2.mount]), ...trees.v1.values()]);
  return [...mounts].map((mount) => `${mount}/${relative}`).filter((path) => existsSync(path));
}

/** Ends what is in them and takes them away. Nothing happens where there are none. */
export function removeContainerCgroups(directory: string): void {
  if (!existsSync(cgroupFile(directory))) return;
  if (groups().removeCgroup(containerCgroups(directory))) rmSync(cgroupFile(directory), { force: true });
}

/** Whether the kernel has ended one of its processes for want of memory, as far as a group of ours says so. */
export function memoryRanOut(directory: string): boolean {
  return containerCgroups(directory).some((group) =>
    ["memory.events", "memory.oom_control"].some((file) => {
      const path = `${group}/${file}`;
      return existsSync(path) && /^oom_kill [1-9]/m.test(readFileSync(path, "utf8"));
    }),
  );
}
