import { processStart } from "../linux/processStart.ts";

/**
 * A name for something short-lived that says whose it is: whoever comes after a `kill -9` can tell that nobody will come back for it,
 * see `sweepOwned`.
 */
export function ownedName(kind: "step" | "probe"): string {
  return `${kind}-${process.pid}-${processStart(process.pid)}-${crypto.randomUUID().slice(0, 8)}`;
}

/** Whether the process that gave this name lives; undefined for a name of another form. */
export function ownerLives(name: string): boolean | undefined {
  const parts = /^(?:step|probe)-([0-9]+)-([0-9]+)-[0-9a-f]{8}$/.exec(name);
  return parts === null ? undefined : processStart(Number(parts[1])) === Number(parts[2]);
}
