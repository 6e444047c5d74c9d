import { killVerified, removeRuntimeState } from "../runtime/runtimeState.ts";
import { rmSync } from "node:fs";
import { SlipwayError } from "../oci/SlipwayError.ts";
import type { ContainerRecord } from "../store/Store.ts";
import { containerOptions } from "./ContainerOptions.ts";
import { endContainer, refreshContainer } from "./containerState.ts";
import type { Engine } from "./Engine.ts";
import { releaseNetworkOf } from "./networkRelease.ts";
import { untilEnded } from "./untilEnded.ts";

/**
 * Takes a container away: its processes (only with `force`), its mounts, its files and its record; with `volumes`, its anonymous volumes too.
 * @throws SlipwayError `CONTAINER_RUNNING` without `force`
 */
export async function removeContainer(
  engine: Engine,
  nameOrId: string,
  options: { force?: boolean; volumes?: boolean } = {},
): Promise<void> {
  const { store } = engine;
  const record = refreshContainer(engine, store.containers.find(nameOrId));
  if (record.status === "running") {
    if (options.force !== true) {
      throw new SlipwayError(
        "CONTAINER_RUNNING",
        `cannot remove container "${record.name}": container is running: stop the container before removing or force remove`,
        { hint: `slipway rm -f ${record.name}` },
      );
    }
    killVerified(record.pid, record.pidStart);
    await untilEnded(engine, record, { patienceMs: 10_000 });
  }
  dropContainer(engine, record, options);
}

/** The same for one that does not run, at once. */
export function dropContainer(
  engine: Engine,
  record: ContainerRecord,
  options: { volumes?: boolean; hasEnded?: boolean },
): void {
  const { store } = engine;
  if (store.containers.get(record.id) === undefined) return; // `--rm` and `rm` at the same time
  // Where conmon has said that it has ended there is nobody to look for.
  if (options.hasEnded === true) removeRuntimeState(record.id);
  else endContainer(record.id, store.containers.directory(record.id));
  releaseNetworkOf(engine, record);
  if (options.volumes === true) {
    for (const name of containerOptions(record).anonymousVolumes) {
      rmSync(`${store.root}/volumes/${name}`, { recursive: true, force: true });
    }
  }
  store.containers.remove(record.id);
}
