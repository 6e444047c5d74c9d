const units: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86400, w: 604800 };

/** Seconds of the last `cache: ttl=1d12h` among an instruction's comments; undefined where there is none or it is not a time. */
export function cacheTtlOf(comments: readonly string[]): number | undefined {
  for (const comment of comments.toReversed()) {
    const text = /^\s*cache:\s*ttl=((?:\d+[smhdw])+)\s*$/.exec(comment)?.[1];
    if (text === undefined) continue;
    return [...text.matchAll(/(\d+)([smhdw])/g)].reduce(
      (sum, [, count, unit]) => sum + Number(count) * (units[unit ?? "s"] ?? 1),
      0,
    );
  }
  return undefined;
}
