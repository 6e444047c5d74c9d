import { SlipwayError } from "../../oci/SlipwayError.ts";

/** `TERM`, `SIGTERM`, `15`, `RTMIN+3` as a number. @throws SlipwayError `INVALID_SIGNAL` */
export function parseSignal(text: string): number {
  const upper = text.toUpperCase();
  if (/^[0-9]+$/.test(upper)) {
    const number = Number(upper);
    if (number >= 1 && number <= 64) return number;
  }
  const name = upper.startsWith("SIG") ? upper : `SIG${upper}`;
  const { constants } = require("node:os") as typeof import("node:os");
  const number = (constants.signals as Record<string, number | undefined>)[name];
  if (number !== undefined) return number;
  const realTime = /^SIGRT(MIN|MAX)(?:([+-])([0-9]+))?$/.exec(name);
  if (realTime !== null) {
    const offset = Number(realTime[3] ?? 0) * (realTime[2] === "-" ? -1 : 1);
    const value = (realTime[1] === "MIN" ? 34 : 64) + offset; // glibc keeps 32 and 33 for itself
    if (value >= 34 && value <= 64) return value;
  }
  throw new SlipwayError("INVALID_SIGNAL", `invalid signal: ${text}`);
}
