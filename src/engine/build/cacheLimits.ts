import { statfsSync } from "node:fs";
import type { SlipwayError } from "../../oci/SlipwayError.ts";
import type { Limits } from "../../store/collector.ts";

/** Bytes, or a part of the file system that the store lies on. */
export type Space = { bytes: number } | { part: number };

/** What the configuration says of the build cache's size, and of how many build records are kept. */
export interface CacheSettings {
  maxUsedSpace?: Space;
  reservedSpace?: Space;
  minFreeSpace?: Space;
  /** Milliseconds: what was not used for so long goes. */
  keepDuration?: number;
  history?: { maxEntries?: number; maxAge?: number };
}

const SPACES = ["maxUsedSpace", "reservedSpace", "minFreeSpace"] as const;
export const cacheSettingNames: readonly string[] = [...SPACES, "keepDuration", "history"];

const UNITS: Readonly<Record<string, number>> = { "": 0, k: 1, m: 2, g: 3, t: 4, p: 5 };

/**
 * `10GB` (powers of 1000, as sizes are shown), `10GiB` (of 1024), `1.5g`, a number of bytes, `20%`. Undefined for anything else.
 */
export function parseSpace(text: string): Space | undefined {
  const percent = /^(\d+(?:\.\d+)?)%$/.exec(text);
  if (percent !== null) return Number(percent[1]) <= 100 ? { part: Number(percent[1]) / 100 } : undefined;
  const size = /^(\d+(?:\.\d+)?) ?([kmgtp]?)(i?)b?$/i.exec(text);
  if (size === null || (size[3] !== "" && size[2] === "")) return undefined;
  const power = UNITS[(size[2] as string).toLowerCase()] as number;
  return { bytes: Math.round(Number(size[1]) * (size[3] === "" ? 1000 : 1024) ** power) };
}

/** `30m`, `48h`, `7d`, `2w`, several of them in a row; a number is seconds. Milliseconds; undefined for anything else. */
export function parsePeriod(text: string): number | undefined {
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  if (!/^(?:\d+(?:\.\d+)?[smhdw])+$/.test(text)) return undefined;
  const seconds: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };
  let total = 0;
  for (const [, count, unit] of text.matchAll(/(\d+(?:\.\d+)?)([smhdw])/g))
    total += Number(count) * (seconds[unit as string] as number);
  return total * 1000;
}

/** Reads one of {@link cacheSettingNames}. @throws what `invalid` makes of the reason */
export function readCacheSetting(name: string, value: unknown, invalid: (why: string) => SlipwayError): CacheSettings {
  if (name === "history") return { history: readHistory(value, invalid) };
  const text = typeof value === "number" ? String(value) : value;
  if (name === "keepDuration") {
    const keepDuration = typeof text === "string" ? parsePeriod(text) : undefined;
    if (keepDuration === undefined)
      throw invalid(`"keepDuration" must be a time like "48h" or "7d", not ${JSON.stringify(value)}`);
    return { keepDuration };
  }
  const space = typeof text === "string" ? parseSpace(text) : undefined;
  if (space === undefined) throw invalid(`"${name}" must be a size like "10GB" or "20%", not ${JSON.stringify(value)}`);
  return { [name]: space };
}

function readHistory(value: unknown, invalid: (why: string) => SlipwayError): NonNullable<CacheSettings["history"]> {
  const wrong = () => invalid('"history" must be {"maxEntries": number, "maxAge": "30d"}');
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong();
  const { maxEntries, maxAge, ...rest } = value as { maxEntries?: unknown; maxAge?: unknown };
  if (Object.keys(rest).length > 0) throw wrong();
  const result: NonNullable<CacheSettings["history"]> = {};
  if (maxEntries !== undefined) {
    if (typeof maxEntries !== "number" || !Number.isInteger(maxEntries) || maxEntries < 0) throw wrong();
    result.maxEntries = maxEntries;
  }
  if (maxAge !== undefined) {
    const age = typeof maxAge === "string" || typeof maxAge === "number" ? parsePeriod(String(maxAge)) : undefined;
    if (age === undefined) throw wrong();
    result.maxAge = age;
  }
  return result;
}

/** In bytes of the file system that `root` lies on. */
export function limitsOf(settings: CacheSettings, root: string): Limits {
  let total: number | undefined;
  const bytes = (space: Space): number => {
    if ("bytes" in space) return space.bytes;
    if (total === undefined) {
      const { blocks, bsize } = statfsSync(root);
      total = blocks * bsize;
    }
    return Math.floor(space.part * total);
  };
  const limits: Limits = {};
  for (const name of SPACES) {
    const space = settings[name];
    if (space !== undefined) limits[name] = bytes(space);
  }
  return limits;
}
