import { killVerified } from "../../runtime/runtimeState.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import type { ContainerRecord } from "../../store/Store.ts";
import { containerCgroups } from "./containerCgroup.ts";
import { containerOptions } from "./ContainerOptions.ts";
import { isUp, refreshContainer } from "./containerState.ts";
import type { Engine } from "../Engine.ts";
import { recordContainerEvent } from "../events/eventLog.ts";
import { parseSignal } from "./signals.ts";

export const SIGKILL = 9;

/**
 * Sends a signal (a name or number, SIGKILL where none is given) to the container's first process.
 * @throws SlipwayError `CONTAINER_NOT_RUNNING`, `INVALID_SIGNAL`
 */
export async function killContainer(engine: Engine, nameOrId: string, signal = "SIGKILL"): Promise<void> {
  const number = parseSignal(signal);
  const record = refreshContainer(engine, engine.store.containers.find(nameOrId));
  // What ends it on somebody's word is no failure that its policy has to mend.
  const ends = number === SIGKILL || number === parseSignal(containerOptions(record).config.StopSignal || "SIGTERM");
  if (isUp(record) && ends) engine.store.containers.update(record.id, { stopped: true });
  if (!isUp(record) || !sendSignal(engine, record, number)) {
    throw new SlipwayError(
      "CONTAINER_NOT_RUNNING",
      `cannot kill container: ${nameOrId}: container ${record.name} is not running`,
    );
  }
}

/** To the first process; one that is paused is let go by SIGKILL, which would find nobody at home otherwise. False where it is gone. */
export function sendSignal(engine: Engine, record: ContainerRecord, signal: number): boolean {
  if (!killVerified(record.pid, record.pidStart, signal)) return false;
  recordContainerEvent(engine, record, "kill", { attributes: { signal: String(signal) } });
  if (record.status === "paused" && signal === SIGKILL) {
    const { setFrozen } = require("../../runtime/cgroup.ts") as typeof import("../../runtime/cgroup.ts");
    setFrozen(containerCgroups(engine.store.containers.directory(record.id)), false);
  }
  return true;
}
