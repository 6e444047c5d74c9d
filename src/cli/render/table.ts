/** The docker CLI's tables: a column, with the three blanks behind it, is no narrower. */
const NARROWEST = 10;

/**
 * Rows under upper-case headers, columns as wide as their widest cell and three blanks apart, as the docker CLI prints them. `narrowest` 0: as
 * BuildKit prints its own.
 */
export function table(
  headers: readonly string[],
  rows: readonly (readonly string[])[],
  options: { narrowest?: number } = {},
): string {
  const { narrowest = NARROWEST } = options;
  const all = [headers, ...rows];
  const widths = headers.map((_, i) => Math.max(narrowest - 3, ...all.map((row) => Bun.stringWidth(row[i] ?? ""))));
  return all
    .map((row) => `${row.map((cell, i) => pad(cell, widths[i] ?? 0, i === row.length - 1)).join("   ")}\n`)
    .join("");
}

function pad(cell: string, width: number, last: boolean): string {
  return last ? cell : cell + " ".repeat(Math.max(0, width - Bun.stringWidth(cell)));
}
