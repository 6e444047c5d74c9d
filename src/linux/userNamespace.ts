import { readFileSync } from "node:fs";

/** `length` ids from `inside` on are those from `outside` on, as user_namespaces(7) writes them in /proc/PID/uid_map. */
export interface IdRange {
  inside: number;
  outside: number;
  length: number;
}

/** Set by the process that entered a user namespace for us: the user's id outside. */
export const USER_VARIABLE = "SLIPWAY_USER_ID";

/** The ids of the user namespace that this process is in; users and groups are mapped alike by all that makes one for containers. */
export function mappedIds(text: string = readFileSync("/proc/self/uid_map", "utf8")): IdRange[] {
  return text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => {
      const [inside = 0, outside = 0, length = 0] = line.trim().split(/\s+/).map(Number);
      return { inside, outside, length };
    });
}

/** Whether this process is in a user namespace other than the machine's first. */
export function inUserNamespace(ranges: readonly IdRange[] = mappedIds()): boolean {
  const [first] = ranges;
  return !(ranges.length === 1 && first?.inside === 0 && first.outside === 0 && first.length === 0xffffffff);
}

/** Whose processes, files and records we are about: the user who called, in whatever namespace we are on that user's behalf. */
export function userId(env: Record<string, string | undefined> = process.env): number {
  const own = process.getuid?.() ?? 0;
  const outside = env[USER_VARIABLE];
  return own === 0 && outside !== undefined && /^[0-9]+$/.test(outside) && inUserNamespace() ? Number(outside) : own;
}
