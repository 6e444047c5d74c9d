import type { ContainerRecord } from "../../store/Store.ts";
import { containerOptions } from "./ContainerOptions.ts";
import { attachLock, isUp, refreshContainers } from "./containerState.ts";
import type { ContainerSummary, Engine } from "../Engine.ts";
import { healthOf } from "./health.ts";
import { dropContainer } from "./removeContainer.ts";
import { humanDuration } from "../humanDuration.ts";

/** Containers, newest first, their states made true; only running ones unless `all`. */
export function listContainers(engine: Engine, options: { all?: boolean } = {}): ContainerSummary[] {
  return refreshContainers(engine, engine.store.containers.list())
    .filter((record) => !isForsaken(engine, record))
    .filter((record) => options.all === true || isUp(record) || record.status === "restarting")
    .map((record) => ({
      ...record,
      commandText: commandText(containerOptions(record).args),
      statusText: statusText(record, { health: healthOf(engine, record)?.Status }),
    }));
}

/** As Docker's daemon joins them: what has a blank in quotes. */
function commandText([program = "", ...args]: readonly string[]): string {
  return [program, ...args.map((each) => (each.includes(" ") ? `'${each}'` : each))].join(" ");
}

/** Removes a container of `--rm` that has ended while nobody was there to see it: its slipway was killed. */
function isForsaken(engine: Engine, record: ContainerRecord): boolean {
  if (!record.autoRemove || record.status !== "exited") return false;
  const unlock = engine.store.tryLock(attachLock(record.id));
  if (unlock === undefined) return false;
  try {
    if (engine.store.containers.get(record.id) !== undefined) dropContainer(engine, record, { volumes: true });
    return true;
  } finally {
    unlock();
  }
}

/** Docker's STATUS column. */
export function statusText(
  record: ContainerRecord,
  { now = Date.now(), health }: { now?: number; health?: string | undefined } = {},
): string {
  const since = (time: number | undefined): string => humanDuration(Math.max(0, now - (time ?? now)));
  switch (record.status) {
    case "running":
      return `Up ${since(record.started)}${health === undefined ? "" : health === "starting" ? " (health: starting)" : ` (${health})`}`;
    case "paused":
      return `Up ${since(record.started)} (Paused)`;
    case "restarting":
      return `Restarting (${record.exitCode ?? 0}) ${since(record.finished)} ago`;
    case "exited":
      return `Exited (${record.exitCode ?? 0}) ${since(record.finished)} ago`;
    case "removing":
      return "Removal In Progress";
    case "dead":
      return "Dead";
    default:
      return "Created";
  }
}
