/**
 * The option that `word` is most likely a slip of: fewer than three letters away, the first of the nearest ones. Undefined when there is
 * none, or when `word` is one of the options (then the error is about something else).
 */
export function nearest(word: string, options: Iterable<string>, fold?: "fold"): string | undefined {
  const wanted = fold ? word.toLowerCase() : word;
  let best: string | undefined;
  let limit = 3;
  for (const option of options) {
    const candidate = fold ? option.toLowerCase() : option;
    if (candidate === wanted) return undefined;
    if (Math.abs(candidate.length - wanted.length) >= limit) continue;
    const distance = editDistance(wanted, candidate);
    if (distance >= limit) continue;
    best = option;
    limit = distance;
  }
  if (best === undefined || !fold) return best;
  return word === wanted ? best.toLowerCase() : word === word.toUpperCase() ? best.toUpperCase() : best;
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(change, (previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1));
    }
    previous = row;
  }
  return previous[b.length] ?? 0;
}
