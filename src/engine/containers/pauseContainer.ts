import { setFrozen } from "../../runtime/cgroup.ts";
import { joinCgroup } from "../../runtime/cgroup.ts";
import { probeRuntime } from "../../runtime/probe.ts";
import { runtimeGlobals } from "../../runtime/runtimeCommand.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import type { ContainerRecord } from "../../store/Store.ts";
import { containerCgroups, freezerOf } from "./containerCgroup.ts";
import { containerOptions } from "./ContainerOptions.ts";
import { containerProcesses } from "./containerProcesses.ts";
import { refreshContainer } from "./containerState.ts";
import type { Engine } from "../Engine.ts";
import { recordContainerEvent } from "../events/eventLog.ts";

/** Stops all processes of a container where they are. @throws SlipwayError `CONTAINER_NOT_RUNNING`, `CONTAINER_PAUSED`, `LIMIT_UNAVAILABLE` */
export async function pauseContainer(engine: Engine, nameOrId: string): Promise<void> {
  const record = refreshContainer(engine, engine.store.containers.find(nameOrId));
  if (record.status === "paused") {
    throw new SlipwayError("CONTAINER_PAUSED", `container ${record.name} is already paused`);
  }
  if (record.status !== "running") {
    throw new SlipwayError("CONTAINER_NOT_RUNNING", `container ${record.name} is not running`);
  }
  if (!(await byRuntime(engine, record, "pause"))) freeze(engine, record);
  engine.store.containers.update(record.id, { status: "paused" });
  recordContainerEvent(engine, record, "pause");
}

/** Lets them go on. @throws SlipwayError `CONTAINER_NOT_PAUSED` */
export async function unpauseContainer(engine: Engine, nameOrId: string): Promise<void> {
  const record = refreshContainer(engine, engine.store.containers.find(nameOrId));
  if (record.status !== "paused") {
    throw new SlipwayError("CONTAINER_NOT_PAUSED", `container ${record.name} is not paused`);
  }
  if (!(await byRuntime(engine, record, "resume"))) {
    setFrozen(containerCgroups(engine.store.containers.directory(record.id)), false);
  }
  engine.store.containers.update(record.id, { status: "running" });
  recordContainerEvent(engine, record, "unpause");
}

/** False where the runtime has made no control group. */
async function byRuntime(engine: Engine, record: ContainerRecord, verb: "pause" | "resume"): Promise<boolean> {
  const { store } = engine;
  const runtime = await probeRuntime(store.linux, store.settings, {
    runtime: containerOptions(record).runtime ?? engine.config.runtime,
  });
  if (!runtime.cgroups) return false;
  const child = Bun.spawn([runtime.program, ...runtimeGlobals(runtime), verb, record.id], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  const said = await new Response(child.stderr).text();
  if ((await child.exited) === 0) return true;
  throw new SlipwayError("RUNTIME_FAILED", `cannot ${verb} container ${record.name}: ${said.trim()}`);
}

/** Into a group of their own first: one that forks meanwhile is found by the next look. */
function freeze(engine: Engine, record: ContainerRecord): void {
  const group = freezerOf(engine, record);
  const inside = new Set<number>();
  for (let more = true; more; ) {
    more = false;
    for (const pid of containerProcesses(engine, record)) {
      if (inside.has(pid)) continue;
      inside.add(pid);
      more = true;
      try {
        joinCgroup(group, pid);
      } catch {
        // ended just now
      }
    }
  }
  setFrozen(group, true);
}
