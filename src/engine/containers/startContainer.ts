import type { Engine } from "../Engine.ts";
import { endRestart, isUp, refreshContainer } from "./containerState.ts";
import { launchContainer } from "./launchContainer.ts";

/** Starts a container, attached to nobody; resolves when its process was let go. One that runs already is left as it is. */
export async function startContainer(engine: Engine, nameOrId: string): Promise<void> {
  const record = refreshContainer(engine, engine.store.containers.find(nameOrId));
  if (isUp(record)) return;
  endRestart(record);
  await launchContainer(engine, record, { detached: true });
}
