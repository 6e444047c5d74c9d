/** The word of `options` that `word` is most likely a slip of, at most a few letters away (and not half of it), or undefined. */
export function suggest(word: string, options: readonly string[]): string | undefined {
  const wanted = word.toLowerCase();
  let best: string | undefined;
  let limit = Math.min(3, Math.max(1, Math.floor(wanted.length / 2)));
  for (const option of options) {
    const distance = editDistance(wanted, option.toLowerCase());
    if (distance === 0 || distance > limit) continue;
    best = option;
    limit = distance - 1;
  }
  return best;
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
