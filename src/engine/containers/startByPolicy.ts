import { SlipwayError } from "../../oci/SlipwayError.ts";
import { refreshContainer } from "./containerState.ts";
import { isStartedByHost } from "./endedContainer.ts";
import type { Engine } from "../Engine.ts";
import { launchContainer } from "./launchContainer.ts";

/** Starts, after a start of the host, what the restart policies ask for; oldest first. One that fails does not keep the others. */
export async function startByPolicy(
  engine: Engine,
): Promise<{ started: string[]; failed: { name: string; error: Error }[] }> {
  const started: string[] = [];
  const failed: { name: string; error: Error }[] = [];
  for (const stored of engine.store.containers.list().toReversed()) {
    const record = refreshContainer(engine, stored);
    if (!isStartedByHost(record)) continue;
    try {
      await launchContainer(engine, record, { detached: true });
      started.push(record.name);
    } catch (error) {
      // Somebody was as quick: a user, or its own policy.
      if (error instanceof SlipwayError && error.code === "CONTAINER_RUNNING") continue;
      failed.push({ name: record.name, error: error as Error });
    }
  }
  return { started, failed };
}
