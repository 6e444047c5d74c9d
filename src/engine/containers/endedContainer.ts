import { processStart } from "../../linux/processStart.ts";
import type { ContainerRecord } from "../../store/Store.ts";
import { containerOptions } from "./ContainerOptions.ts";
import { isUp, refreshContainer } from "./containerState.ts";
import type { Engine } from "../Engine.ts";
import { prepareRelease } from "../networks/networkRelease.ts";
import { launchContainer } from "./launchContainer.ts";
import { dropContainer } from "./removeContainer.ts";

// Docker's: each pause is twice the last, and one that has run this long begins anew.
const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 60_000;
const SETTLED_MS = 10_000;

/**
 * What conmon has run when a container has ended: records that, takes one of `--rm` away, and starts one again as its policy says, after the
 * pause. A container whose conmon was killed is nobody's: its policy begins again with the next start.
 */
export async function endedContainer(engine: Engine, id: string): Promise<void> {
  const { containers } = engine.store;
  const stored = containers.get(id);
  if (stored === undefined) return;
  await prepareRelease(engine, stored);
  const record = refreshContainer(engine, stored);
  if (isUp(record)) return; // somebody has started it again
  if (record.autoRemove) return dropContainer(engine, record, { volumes: true });
  if (record.status !== "exited" || !wantsRestart(record)) return;
  const ran = (record.finished ?? 0) - (record.started ?? 0);
  const before = ran >= SETTLED_MS ? 0 : (record.restartDelayMs ?? 0);
  const delayMs = Math.min(Math.max(before * 2, FIRST_DELAY_MS), LONGEST_DELAY_MS);
  const own = { pid: process.pid, start: processStart(process.pid) ?? 0 };
  containers.update(id, { status: "restarting", restarter: own });
  await Bun.sleep(delayMs);
  const current = containers.get(id);
  if (current?.status !== "restarting" || current.restarter?.pid !== own.pid) return; // stopped or removed meanwhile
  const restart = { count: (record.restartCount ?? 0) + 1, delayMs };
  await launchContainer(engine, current, { detached: true, restart });
}

export function wantsRestart(record: ContainerRecord): boolean {
  const { restart } = containerOptions(record);
  if (restart === undefined || record.stopped === true) return false;
  switch (restart.name) {
    case "always":
    case "unless-stopped":
      return true;
    case "on-failure": {
      const isLeft = restart.maximumRetryCount === 0 || (record.restartCount ?? 0) < restart.maximumRetryCount;
      return (record.exitCode ?? 0) !== 0 && isLeft;
    }
    default:
      return false;
  }
}

/**
 * What a start of the host has to start again (`start --restart-policy`): containers that ran, or waited to run again, when it went down, and all of
 * `always`, a stopped one included, as Docker's daemon does.
 */
export function isStartedByHost(record: ContainerRecord): boolean {
  const { restart } = containerOptions(record);
  if (restart === undefined || isUp(record) || record.started === undefined) return false;
  if (restart.name === "always") return true;
  const stopped = record.stopped === true && record.stoppedWithHost !== true;
  return restart.name === "unless-stopped" ? !stopped : wantsRestart({ ...record, stopped });
}
