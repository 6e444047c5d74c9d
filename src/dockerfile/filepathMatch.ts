import { lengthOf } from "./globMatches.ts";
import { globTokens } from "./globTokens.ts";

/**
 * Go's `filepath.Match`: the whole name must match, `*` and `?` do not take a `/`. Time is at most pattern times name.
 * @throws SlipwayError `INVALID_PATTERN`
 */
export function filepathMatch(pattern: string, name: string): boolean {
  const tokens = globTokens(pattern, false);
  let token = 0;
  let at = 0;
  // Only the last star needs a second try: no earlier one could reach further than it.
  let star = -1;
  let starAt = 0;
  for (;;) {
    const next = tokens[token];
    if (next === undefined && at === name.length) return true;
    if (next?.kind === "star") {
      star = ++token;
      starAt = at;
      continue;
    }
    const taken = next === undefined ? -1 : lengthOf(next, name, at);
    if (taken >= 0) {
      token++;
      at += taken;
    } else if (star >= 0 && starAt < name.length && name[starAt] !== "/") {
      token = star;
      at = ++starAt;
    } else return false;
  }
}
