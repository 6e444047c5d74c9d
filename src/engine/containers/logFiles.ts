import { existsSync } from "node:fs";
import type { ContainerOptions } from "./ContainerOptions.ts";

/** `10m` as docker reads it: powers of 1000. */
export function logBytes(text: string): number {
  const [, number = "0", unit = ""] = /^(\d+)([kmg]?)b?$/i.exec(text) ?? [];
  return Number(number) * 1000 ** ["", "k", "m", "g"].indexOf(unit.toLowerCase());
}

/** Docker's `--details`: what the log's options name, by key. */
export function logDetails({ log, config }: ContainerOptions): string {
  const names = (option: string): string[] => (log?.options[option] ?? "").split(",").filter((name) => name !== "");
  const found: Record<string, string> = {};
  for (const name of names("labels")) {
    const value = config.Labels?.[name];
    if (value !== undefined) found[name] = value;
  }
  for (const entry of config.Env ?? []) {
    const equals = entry.indexOf("=");
    if (names("env").includes(entry.slice(0, equals))) found[entry.slice(0, equals)] = entry.slice(equals + 1);
  }
  if (log?.options.tag !== undefined) found.tag = log.options.tag;
  return Object.keys(found)
    .sort()
    .map((name) => `${encodeURIComponent(name)}=${encodeURIComponent(found[name] as string)}`)
    .join(",");
}

/** The log and those that it was before, oldest first. */
export function logFiles(log: string): string[] {
  const older: string[] = [];
  for (let n = 1; existsSync(`${log}.${n}`); n++) older.unshift(`${log}.${n}`);
  return existsSync(log) ? [...older, log] : older;
}

/**
 * A shell script that keeps the log to a number of files of a size: it looks every second, so that a file can be larger by what one second
 * prints. Ends with conmon. Undefined where there is nothing to do. $1 is the log, $2 conmon's control FIFO, $3 its pid.
 */
export function rotationScript({ log }: ContainerOptions): string | undefined {
  const size = log?.options["max-size"];
  const files = Number(log?.options["max-file"] ?? 1);
  if (size === undefined || size === "-1" || files < 2) return undefined;
  const steps: string[] = [];
  for (let n = files - 1; n > 1; n--) steps.push(`[ ! -e "$1.${n - 1}" ] || mv -f "$1.${n - 1}" "$1.${n}"`);
  // 2: conmon opens its log anew.
  steps.push('mv -f "$1" "$1.1"', "printf '2 0 0\\n' > \"$2\"");
  return `while kill -0 "$3" 2>/dev/null; do
  if [ "$(stat -c %s "$1" 2>/dev/null || echo 0)" -ge ${logBytes(size)} ]; then ${steps.join("; ")}; fi
  sleep 1
done`;
}
