import { appendFileSync, existsSync, readFileSync, renameSync, statSync } from "node:fs";
import type { ContainerRecord, NetworkRecord } from "../../store/Store.ts";
import { containerOptions } from "../containers/ContainerOptions.ts";
import type { Engine } from "../Engine.ts";

/** One thing that happened, in Docker's shape but for its time: milliseconds since the epoch, which nanoseconds are too many for a number. */
export interface StoreEvent {
  Type: string;
  Action: string;
  Actor: { ID: string; Attributes: Record<string, string> };
  scope: "local";
  at: number;
}

/** Bytes of a log that is full: it becomes the older one, and the one before that goes. */
const MAX_LOG = 4 * 1024 * 1024;

/** The files of the log, the older first. */
export function eventLogs(root: string): [older: string, current: string] {
  return [`${root}/events.old`, `${root}/events`];
}

/** Writes down what happened, for `events`. A line is written at once, so that many processes can. Never fails: what happened has happened. */
export function recordEvent(
  engine: Engine,
  event: { Type: string; Action: string; id: string; attributes?: Record<string, string>; at?: number },
): void {
  const at = Math.round(event.at ?? Date.now());
  const entry: StoreEvent = {
    Type: event.Type,
    Action: event.Action,
    Actor: { ID: event.id, Attributes: event.attributes ?? {} },
    scope: "local",
    at,
  };
  const [older, current] = eventLogs(engine.store.root);
  try {
    appendFileSync(current, `${JSON.stringify(entry)}\n`, { mode: 0o600 });
    if (statSync(current).size > MAX_LOG) renameSync(current, older);
  } catch {
    // a full disk
  }
}

/** Of a container: its image, its name and its labels come along. */
export function recordContainerEvent(
  engine: Engine,
  record: ContainerRecord,
  action: string,
  more: { attributes?: Record<string, string>; at?: number } = {},
): void {
  const attributes = {
    ...containerOptions(record).config.Labels,
    image: record.imageReference,
    name: record.name,
    ...more.attributes,
  };
  recordEvent(engine, {
    Type: "container",
    Action: action,
    id: record.id,
    attributes,
    ...(more.at === undefined ? {} : { at: more.at }),
  });
}

/** Of a network; `container`: whom it is about. */
export function recordNetworkEvent(
  engine: Engine,
  network: NetworkRecord,
  action: "create" | "destroy" | "connect" | "disconnect",
  container?: string,
): void {
  const attributes = { ...(container === undefined ? {} : { container }), name: network.name, type: network.driver };
  recordEvent(engine, { Type: "network", Action: action, id: network.id, attributes });
}

/** What is in the log, oldest first. */
export function readEvents(engine: Engine): StoreEvent[] {
  return eventLogs(engine.store.root)
    .filter((path) => existsSync(path))
    .flatMap((path) => parseEvents(readFileSync(path, "utf8")))
    .sort((a, b) => a.at - b.at);
}

export function parseEvents(text: string): StoreEvent[] {
  return text.split("\n").flatMap((line) => {
    try {
      return [JSON.parse(line) as StoreEvent];
    } catch {
      return []; // the end, or a line that a full disk cut short
    }
  });
}
