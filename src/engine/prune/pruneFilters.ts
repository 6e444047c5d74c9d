import { SlipwayError } from "../../oci/SlipwayError.ts";
import { parseLogTime } from "../containers/logs.ts";

/** `--filter` of the prune commands: what was made since `until` stays, and what has not the labels. */
export interface PruneFilters {
  /** Milliseconds since the epoch. */
  before?: number;
  matchesLabels(labels: Record<string, string>): boolean;
}

/** @throws SlipwayError `USAGE` for a filter that is not among `known`, `INVALID_TIME` */
export function pruneFilters(given: Record<string, string[]>, known: readonly string[]): PruneFilters {
  for (const key of Object.keys(given)) {
    if (known.includes(key)) continue;
    throw new SlipwayError("USAGE", `invalid filter ${JSON.stringify(key)}`, {
      hint: `It filters by ${known.join(", ")}.`,
    });
  }
  const { until = [], label = [], "label!": without = [] } = given;
  if (until.length > 1) throw new SlipwayError("USAGE", "more than one until filter specified");
  return {
    ...(until[0] === undefined ? {} : { before: parseLogTime(until[0]) }),
    matchesLabels: (labels) =>
      label.every((each) => hasLabel(labels, each)) && !without.some((each) => hasLabel(labels, each)),
  };
}

function hasLabel(labels: Record<string, string>, wanted: string): boolean {
  const equals = wanted.indexOf("=");
  if (equals < 0) return Object.hasOwn(labels, wanted);
  return labels[wanted.slice(0, equals)] === wanted.slice(equals + 1);
}
