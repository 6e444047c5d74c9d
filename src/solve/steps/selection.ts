import { createIgnoreMatcher } from "../../dockerfile/ignore.ts";
import type { Selection } from "../tree/treeDigest.ts";

/** What `--exclude` leaves: patterns as in an ignore file, against paths relative to the source. */
export function excluding(patterns: readonly string[]): Selection | undefined {
  if (patterns.length === 0) return undefined;
  const matcher = createIgnoreMatcher([...patterns]);
  return (path) => !matcher.matches(path);
}
