import type { ContainerRecord } from "../../store/Store.ts";
import { isUp, refreshContainer } from "./containerState.ts";
import { wantsRestart } from "./endedContainer.ts";
import type { Engine } from "../Engine.ts";
import { type StopOptions, stopContainer } from "./stopContainer.ts";

/**
 * Before the host goes down: ends all containers, at the same time, also those that wait to run again. Their policies hold still, and are asked when
 * the host has started (`startByPolicy`). One that cannot be ended does not keep the others.
 */
export async function stopWithHost(
  engine: Engine,
  options: StopOptions,
): Promise<{ stopped: string[]; failed: { name: string; error: Error }[] }> {
  const running = engine.store.containers
    .list()
    .map((record) => refreshContainer(engine, record))
    .filter((record) => isUp(record) || record.status === "restarting" || isLooping(record));
  const ended = await Promise.allSettled(
    running.map(({ id }) => stopContainer(engine, id, { ...options, withHost: true })),
  );
  return {
    stopped: running.filter((_, i) => ended[i]?.status === "fulfilled").map(({ name }) => name),
    failed: running.flatMap(({ name }, i) => {
      const result = ended[i];
      return result?.status === "rejected" ? [{ name, error: result.reason as Error }] : [];
    }),
  };
}

/** It has just ended, and conmon is about to have it started again: nobody has said so yet. */
function isLooping(record: ContainerRecord): boolean {
  return record.status === "exited" && wantsRestart(record);
}
