import { killVerified } from "../runtime/runtimeState.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { refreshContainer } from "./containerState.ts";
import type { Engine } from "./Engine.ts";
import { parseSignal } from "./signals.ts";

/**
 * Sends a signal (a name or number, SIGKILL where none is given) to the container's first process.
 * @throws SlipwayError `CONTAINER_NOT_RUNNING`, `INVALID_SIGNAL`
 */
export async function killContainer(engine: Engine, nameOrId: string, signal = "SIGKILL"): Promise<void> {
  const number = parseSignal(signal);
  const record = refreshContainer(engine, engine.store.containers.find(nameOrId));
  if (record.status !== "running" || !killVerified(record.pid, record.pidStart, number)) {
    throw new SlipwayError(
      "CONTAINER_NOT_RUNNING",
      `cannot kill container: ${nameOrId}: container ${record.name} is not running`,
    );
  }
}
