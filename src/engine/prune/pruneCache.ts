import { SlipwayError } from "../../oci/SlipwayError.ts";
import type { CacheEntry, Collected, Limits } from "../../store/collector.ts";
import type { Engine } from "../Engine.ts";
import { parseLogTime } from "../containers/logs.ts";

/** BuildKit's names for the kinds of what the cache has. */
export const cacheTypes: Readonly<Record<CacheEntry["kind"], string>> = {
  layer: "regular",
  mount: "exec.cachemount",
  download: "source.http",
  context: "source.local",
  list: "internal",
};

/** Takes from the build cache what was used longest ago; without limits all that is not in use. */
export async function pruneCache(
  engine: Engine,
  options: { all: boolean; filters: Record<string, string[]>; limits?: Limits },
): Promise<Collected> {
  const collector = await engine.store.collector();
  const { all, limits = {} } = options;
  return collector.collect({ all, limits, matches: cacheFilter(options.filters) });
}

/**
 * BuildKit's filters: `until` and `unused-for` (the last use is longer ago), `id`, `type`, `description`, `inuse`, `shared`, `private`. All must fit,
 * of the values of one any. @throws SlipwayError `USAGE`
 */
export function cacheFilter(filters: Record<string, string[]>): (entry: CacheEntry) => boolean {
  const tests = Object.entries(filters).map(([key, values]) => {
    const each = values.map((value) => filterOf(key, value));
    return (entry: CacheEntry) => each.some((test) => test(entry));
  });
  return (entry) => tests.every((test) => test(entry));
}

function filterOf(key: string, value: string): (entry: CacheEntry) => boolean {
  const isTrue = !/^(0|f|false)$/i.test(value);
  switch (key) {
    case "until":
    case "unused-for": {
      const before = parseLogTime(value);
      return (entry) => entry.used < before;
    }
    case "id":
      return ({ id }) => id.replace(/^sha256:/, "").startsWith(value.replace(/^sha256:/, "")) && value !== "";
    case "type":
      return ({ kind }) => cacheTypes[kind] === value;
    case "description":
      return (entry) => describeEntry(entry) === value;
    case "description~":
      return (entry) => new RegExp(value).test(describeEntry(entry));
    case "inuse":
      return ({ inUse }) => inUse === isTrue;
    case "shared":
      return ({ shared }) => shared === isTrue;
    case "private":
      return ({ shared }) => shared !== isTrue;
    default:
      throw new SlipwayError("USAGE", `invalid filter ${JSON.stringify(key)}`, {
        hint: "It filters by until, unused-for, id, type, description, inuse, shared and private.",
      });
  }
}

/** What a step's name says, the id of a cache mount, the URL of a download. */
export function describeEntry({ kind, value, key }: CacheEntry): string {
  if (kind === "mount") return `cache mount ${value}`;
  if (kind === "context") return "files of a build context";
  if (kind === "list") return "names and digests of a step's files";
  if (kind === "download") return key?.replace(/^http:(https?:\/\/)(?:[^/@]*@)?/, "$1") ?? "left by a pull";
  if (value === undefined) return "left by a pull or build";
  return (JSON.parse(value) as { name?: string }).name ?? "";
}
