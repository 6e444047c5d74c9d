import { existsSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Engine } from "../Engine.ts";

/** So many builds are kept where the configuration does not say. */
const KEPT = 50;
/** A directory without a record is that of a build at work, until it is certain that it was killed. */
const UNFINISHED_MS = 24 * 3_600_000;

/** Removes the records that are too many or too old (`history` of the configuration), with their logs; never that of a build at work. */
export function pruneBuilds(engine: Engine): void {
  const { maxEntries = KEPT, maxAge } = engine.config.cache?.history ?? {};
  const all = buildIdentifiers(engine);
  const surplus = Math.max(0, all.length - maxEntries);
  for (const [i, id] of all.entries()) {
    const isOld = maxAge !== undefined && startOf(id) < Date.now() - maxAge;
    if (i >= surplus && !isOld) break;
    if (!isAtWork(engine, id)) removeBuild(engine, id);
  }
}

/** Record and logs. */
export function removeBuild(engine: Engine, id: string): void {
  rmSync(join(engine.store.root, "builds", id), { recursive: true, force: true });
}

/** Oldest first: an id begins with its time. */
export function buildIdentifiers(engine: Engine): string[] {
  const directory = join(engine.store.root, "builds");
  return existsSync(directory) ? readdirSync(directory).sort() : [];
}

/** Milliseconds since the epoch, in base 36, before four more characters. */
function startOf(id: string): number {
  return Number.parseInt(id.slice(0, -4), 36);
}

function isAtWork(engine: Engine, id: string): boolean {
  const directory = join(engine.store.root, "builds", id);
  if (existsSync(join(directory, "record.json"))) return false;
  const modified = statSync(directory, { throwIfNoEntry: false })?.mtimeMs;
  return modified !== undefined && Date.now() - modified < UNFINISHED_MS;
}
