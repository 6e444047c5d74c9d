import { SlipwayError, type SourceRange } from "../oci/SlipwayError.ts";
import { printable } from "./render/lineSplitter.ts";

/** Lines that are shown before and after the ones that an error lies in. */
const AROUND = 2;

/**
 * What a person reads of an error: the place in the Dockerfile with the lines around it, one sentence, and what to do. What others wrote
 * into it (a registry, a Dockerfile) cannot command the terminal.
 */
export function errorText(error: unknown, options: { debug: boolean }): string {
  const parts: string[] = [];
  if (error instanceof SlipwayError && error.range !== undefined) parts.push(excerpt(error.range));
  const message = error instanceof Error ? error.message : String(error);
  parts.push(`slipway: ${message}`);
  if (error instanceof SlipwayError && error.hint !== undefined) parts.push(error.hint);
  if (error instanceof Error && (options.debug || !(error instanceof SlipwayError))) {
    if (!(error instanceof SlipwayError) && !options.debug)
      parts.push("This is a fault of slipway or of the system; --debug shows more.");
    else parts.push(error.stack ?? "");
    for (let cause = error.cause; options.debug && cause instanceof Error; cause = cause.cause)
      parts.push(`caused by: ${cause.stack}`);
  }
  return `${parts.join("\n").split("\n").map(plain).join("\n")}\n`;
}

/** In BuildKit's form: `Dockerfile:3`, a rule, numbered lines with `>>>` at those that are meant. */
export function excerpt(range: SourceRange): string {
  const place = `${range.file}:${range.start}`;
  if (range.text === undefined) return place;
  const lines = range.text.split("\n");
  const from = Math.max(1, range.start - AROUND);
  const to = Math.min(lines.length, range.end + AROUND);
  const rule = "--------------------";
  const shown: string[] = [];
  for (let n = from; n <= to; n++) {
    const line = (lines[n - 1] ?? "").replace(/\r$/, "");
    if (n === lines.length && line === "" && n > range.end) break;
    const mark = n >= range.start && n <= range.end ? ">>>" : "   ";
    shown.push(`${String(n).padStart(4)} | ${mark} ${plain(line)}`);
  }
  return [place, rule, ...shown, rule].join("\n");
}

function plain(line: string): string {
  return Bun.stripANSI(printable(line));
}
