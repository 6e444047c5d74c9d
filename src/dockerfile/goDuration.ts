const units: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  "\u00b5s": 1e3,
  "\u03bcs": 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/** Go's `time.ParseDuration` (`1h30m`, `-1.5s`, `0`): nanoseconds, or undefined for anything else. */
export function parseGoDuration(text: string): number | undefined {
  const [, sign = "", rest = ""] = /^([-+]?)(.*)$/s.exec(text) ?? [];
  if (rest === "0") return 0;
  const parts = /(\d+\.?\d*|\.\d+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)/y;
  let total = 0;
  let at = 0;
  while (at < rest.length) {
    parts.lastIndex = at;
    const part = parts.exec(rest);
    if (part === null) return undefined;
    total += Math.trunc(Number(part[1]) * (units[part[2] as string] as number));
    at = parts.lastIndex;
  }
  return rest === "" ? undefined : sign === "-" ? -total : total;
}
