import type { ContainerRecord } from "../../store/Store.ts";
import { containerFiles } from "./containerFiles.ts";
import { awaitExitFile, isUp, recordDeath, recordExit, refreshContainer } from "./containerState.ts";
import type { Engine } from "../Engine.ts";
import { dropContainer } from "./removeContainer.ts";
import { untilEnded } from "./untilEnded.ts";

/**
 * Resolves with the exit code when the container has ended; at once where it is not running. `remove`: takes it away as well.
 * @throws SlipwayError `CONTAINER_NOT_FOUND`
 */
export async function waitContainer(
  engine: Engine,
  nameOrId: string,
  options: { remove?: boolean; signal?: AbortSignal | undefined } = { signal: engine.signal },
): Promise<number> {
  const { containers } = engine.store;
  let record = refreshContainer(engine, containers.find(nameOrId));
  // One that its policy starts again has ended all the same.
  if (isUp(record)) await untilEnded(engine, record, options);
  if (containers.get(record.id) === undefined) return 137; // somebody's `rm -f`
  // One that goes away needs no record of how it ended.
  const exit =
    options.remove === true && isUp(record) ? awaitExitFile(exitFile(engine, record), record.conmonPid) : undefined;
  if (exit === undefined) {
    record = isUp(record) ? recordExit(engine, record) : refreshContainer(engine, record);
  }
  if (options.remove === true) {
    if (exit !== undefined) recordDeath(engine, { ...record, ...exit });
    dropContainer(engine, record, { volumes: true, hasEnded: exit !== undefined });
  }
  return exit?.exitCode ?? record.exitCode ?? 0;
}

function exitFile(engine: Engine, record: ContainerRecord): string {
  return containerFiles(engine.store.containers.directory(record.id), record.id).exit;
}
