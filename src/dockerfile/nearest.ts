// Nobody writes that many by hand; each unknown word is held against all of them.
const MAX_OPTIONS = 1000;

/**
 * The option that `word` is most likely a slip of: fewer than three letters away, the first of the nearest ones. Undefined when there is
 * none, when there are more than a thousand to choose from, or when `word` is one of the options (then the error is about something else).
 */
export function nearest(word: string, options: Iterable<string>, fold?: "fold"): string | undefined {
  const wanted = fold ? word.toLowerCase() : word;
  let best: string | undefined;
  let limit = 3;
  let looked = 0;
  for (const option of options) {
    if (++looked > MAX_OPTIONS) return undefined;
    const candidate = fold ? option.toLowerCase() : option;
    if (candidate === wanted) return undefined;
    if (Math.abs(candidate.length - wanted.length) >= limit) continue;
    const distance = editDistance(wanted, candidate, limit);
    if (distance >= limit) continue;
    best = option;
    limit = distance;
  }
  if (best === undefined || !fold) return best;
  return word === wanted ? best.toLowerCase() : word === word.toUpperCase() ? best.toUpperCase() : best;
}

/** At least `limit` where it would be that much or more. */
function editDistance(a: string, b: string, limit: number): number {
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
  let row = [...previous];
  for (let i = 1; i <= a.length; i++) {
    row[0] = i;
    let least = i;
    const code = a.charCodeAt(i - 1);
    for (let j = 1; j <= b.length; j++) {
      const change = (previous[j - 1] ?? 0) + (code === b.charCodeAt(j - 1) ? 0 : 1);
      const cost = Math.min(change, (previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1);
      row[j] = cost;
      if (cost < least) least = cost;
    }
    // No later row can come below the least of this one.
    if (least >= limit) return limit;
    [previous, row] = [row, previous];
  }
  return previous[b.length] ?? 0;
}
