import { rmSync } from "node:fs";
import { removeRuntimeState } from "../../runtime/runtimeState.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import type { ContainerRecord } from "../../store/Store.ts";
import { removeContainerCgroups } from "./containerCgroup.ts";
import { containerFiles } from "./containerFiles.ts";
import { containerOptions } from "./ContainerOptions.ts";
import {
  attachLock,
  endContainer,
  endRestart,
  endWatchers,
  isUp,
  refreshContainer,
  startLock,
} from "./containerState.ts";
import type { Engine } from "../Engine.ts";
import { recordContainerEvent } from "../events/eventLog.ts";
import { SIGKILL, sendSignal } from "./killContainer.ts";
import { releaseNetworkOf } from "../networks/networkRelease.ts";
import { untilEnded } from "./untilEnded.ts";
import { abandonVolumes, dropVolume, usedVolumes } from "../volumes/volumeRecords.ts";

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
  if (isUp(record) || record.status === "restarting") {
    if (options.force !== true) {
      throw new SlipwayError(
        "CONTAINER_RUNNING",
        `cannot remove container "/${record.name}": container is ${record.status}: stop the container before removing or force remove`,
        { hint: `slipway rm -f ${record.name}` },
      );
    }
  }
  if (options.force === true) {
    store.containers.update(record.id, { stopped: true });
    endRestart(record);
  }
  const unlock = await lockedSoon(engine, startLock(record.id));
  try {
    // Its policy may have started it meanwhile; nobody does from here on.
    const stored = store.containers.get(record.id);
    const current = stored === undefined ? record : refreshContainer(engine, stored);
    if (stored !== undefined && isUp(current)) {
      if (options.force !== true)
        throw new SlipwayError("CONTAINER_RUNNING", `container ${record.name} was started meanwhile`);
      sendSignal(engine, current, SIGKILL);
      await untilEnded(engine, current, { patienceMs: 10_000 });
    }
    dropContainer(engine, current, options);
  } finally {
    unlock?.();
  }
}

/** Undefined where somebody holds it for longer than any start takes: what hangs there is ended. */
async function lockedSoon(engine: Engine, key: string): Promise<(() => void) | undefined> {
  for (let waited = 0; waited < START_MS; waited += 20) {
    const unlock = engine.store.tryLock(key);
    if (unlock !== undefined) return unlock;
    await Bun.sleep(20);
  }
  return undefined;
}

const START_MS = 10_000;

/** The same for one that does not run, at once. */
export function dropContainer(
  engine: Engine,
  record: ContainerRecord,
  options: { volumes?: boolean; hasEnded?: boolean },
): void {
  const { store } = engine;
  if (store.containers.get(record.id) === undefined) return; // `--rm` and `rm` at the same time
  // Where conmon has said that it has ended there is nobody to look for.
  const directory = store.containers.directory(record.id);
  endWatchers(store.containers.get(record.id) ?? record);
  if (options.hasEnded === true) {
    removeRuntimeState(record.id);
    removeContainerCgroups(directory);
  } else endContainer(record.id, directory);
  releaseNetworkOf(engine, record);
  rmSync(containerFiles(directory, record.id).conmonPid, { force: true });
  const unused = store.transaction(() => {
    store.containers.remove(record.id);
    const { anonymousVolumes } = containerOptions(record);
    if (options.volumes !== true || anonymousVolumes.length === 0) return [];
    const used = usedVolumes(engine);
    const names = anonymousVolumes.filter((name) => !used.has(name));
    abandonVolumes(engine, names);
    return names;
  });
  store.tryLock(attachLock(record.id))?.(); // takes the file of a killed holder away
  for (const name of unused) dropVolume(engine, name);
  recordContainerEvent(engine, record, "destroy");
}
