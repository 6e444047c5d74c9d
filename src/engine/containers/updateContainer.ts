import { writeFileSync } from "node:fs";
import { checkLimits, updateCgroup } from "../../runtime/cgroup.ts";
import { probeRuntime } from "../../runtime/probe.ts";
import { limitsAnything, mergeResources, type Resources } from "../../runtime/resources.ts";
import { runtimeGlobals } from "../../runtime/runtimeCommand.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { containerCgroups } from "./containerCgroup.ts";
import { type ContainerOptions, containerOptions } from "./ContainerOptions.ts";
import { isUp, refreshContainer } from "./containerState.ts";
import type { Engine } from "../Engine.ts";
import { recordContainerEvent } from "../events/eventLog.ts";
import type { RestartPolicy } from "./RunSettings.ts";

/**
 * Changes limits, of a running container at once, and its restart policy.
 * @throws SlipwayError `LIMIT_UNAVAILABLE`, `INVALID_OPTION`; the container is as it was then
 */
export async function updateContainer(
  engine: Engine,
  nameOrId: string,
  changes: { resources?: Resources; restart?: RestartPolicy },
): Promise<void> {
  const { store } = engine;
  const record = refreshContainer(engine, store.containers.find(nameOrId));
  const options = containerOptions(record);
  if (changes.restart !== undefined && changes.restart.name !== "no" && record.autoRemove) {
    throw new SlipwayError("INVALID_OPTION", "restart policy cannot be updated because AutoRemove is enabled");
  }
  const merged = mergeResources(options.resources, changes.resources ?? {});
  const { limit, swap } = merged.memory ?? {};
  if (limit !== undefined && swap !== undefined && swap > 0 && swap < limit) {
    throw new SlipwayError(
      "INVALID_OPTION",
      "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time",
    );
  }
  if (isUp(record) && changes.restart !== undefined && changes.restart.name !== "no" && options.restart === undefined) {
    throw new SlipwayError(
      "INVALID_OPTION",
      `container ${record.name} was started without a restart policy, and nobody is told of its end`,
      {
        hint: "Stop it, update it and start it again.",
      },
    );
  }
  if (isUp(record) && changes.resources !== undefined && limitsAnything(changes.resources)) {
    const runtime = await probeRuntime(store.linux, store.settings, {
      runtime: options.runtime ?? engine.config.runtime,
    });
    const directory = store.containers.directory(record.id);
    if (!runtime.cgroups) updateCgroup(containerCgroups(directory), changes.resources);
    else {
      checkLimits(changes.resources);
      const file = `${directory}/update.json`;
      writeFileSync(file, JSON.stringify(merged));
      const child = Bun.spawn([runtime.program, ...runtimeGlobals(runtime), "update", "--resources", file, record.id], {
        stdin: "ignore",
        stdout: "ignore",
        stderr: "pipe",
      });
      const said = await new Response(child.stderr).text();
      if ((await child.exited) !== 0) throw new SlipwayError("LIMIT_UNAVAILABLE", `cannot update: ${said.trim()}`);
    }
  }
  const updated: ContainerOptions = { ...options };
  if (limitsAnything(merged)) updated.resources = merged;
  if (changes.restart !== undefined) updated.restart = changes.restart;
  recordContainerEvent(engine, store.containers.update(record.id, { options: updated }), "update");
}
