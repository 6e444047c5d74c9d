import { SlipwayError } from "../oci/SlipwayError.ts";

/** runtime-spec, config.md, "rlimits". */
export interface Rlimit {
  /** `RLIMIT_NOFILE`. */
  type: string;
  soft: number;
  hard: number;
}

/** Stands for RLIM_INFINITY, 2^64-1. */
export const UNLIMITED = 2 ** 64;

const NAMES = new Set(
  "core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack".split(" "),
);

/** Docker's `--ulimit`: `nofile=1024[:2048]`, -1 for none. A later one of a name takes an earlier one's place. @throws SlipwayError `USAGE` */
export function parseUlimits(entries: readonly string[]): Rlimit[] {
  const limits = new Map<string, Rlimit>();
  for (const entry of entries) {
    const match = /^([a-z]+)=(-1|\d+)(?::(-1|\d+))?$/.exec(entry);
    const [, name = "", soft = "", hard = soft] = match ?? [];
    if (match === null || !NAMES.has(name)) {
      throw new SlipwayError("USAGE", `invalid ulimit ${JSON.stringify(entry)}`, {
        hint: `For example nofile=1024:2048. Names: ${[...NAMES].join(", ")}.`,
      });
    }
    const limit = { type: `RLIMIT_${name.toUpperCase()}`, soft: limitOf(soft), hard: limitOf(hard) };
    if (limit.soft > limit.hard) {
      throw new SlipwayError("USAGE", `ulimit ${entry}: the soft limit is above the hard limit`);
    }
    limits.set(name, limit);
  }
  return [...limits.values()];
}

function limitOf(text: string): number {
  return text === "-1" ? UNLIMITED : Number(text);
}
