import type { FileDifference } from "../../solve/explain/fileChanges.ts";
import type { MissChange } from "../../solve/explain/explainMiss.ts";
import { oneLine } from "./lineSplitter.ts";

/** More files than this of one source are counted; the build record names all. */
export const SHOWN_FILES = 10;
const LONGEST_VALUE = 200;

/** What changed, one line for each part and file; at most `cap` files of a source. Digests are cut to what tells them apart. */
export function changeLines(changes: readonly MissChange[], cap = SHOWN_FILES): string[] {
  return changes.flatMap((change) => {
    const { part, old, new: now, files } = change;
    if (files === undefined || files.length === 0) {
      if (old === undefined) return [oneLine(`${part} is new${now === undefined ? "" : `: ${value(now)}`}`)];
      if (now === undefined) return [oneLine(`${part} is gone: ${value(old)}`)];
      return [oneLine(`${part}: ${value(old)} → ${value(now)}`)];
    }
    const lines = files.slice(0, cap).map((file) => {
      const details = (file.differences ?? []).map(difference).join(", ");
      return oneLine(`${file.change} ${file.path}${details === "" ? "" : `: ${details}`}`);
    });
    return files.length > cap ? [...lines, `and ${files.length - cap} more`] : lines;
  });
}

/** Why a step ran: the sentence alone where it says all, else what changed, line by line. */
export function becauseLines({ reason, changes = [] }: { reason?: string; changes?: MissChange[] }): string[] {
  if (reason === undefined) return [];
  const lines = changeLines(changes);
  return lines.length === 0 ? [`because: ${oneLine(reason)}`] : lines.map((line) => `because: ${line}`);
}

function difference({ what, old, new: now }: FileDifference): string {
  return `${what} ${value(old)} → ${value(now)}`;
}

function value(text: string): string {
  if (text === "") return "(empty)";
  const digest = /^(?:sha256:)?([0-9a-f]{12})[0-9a-f]{52}$/.exec(text);
  if (digest !== null) return digest[1] as string;
  return text.length > LONGEST_VALUE ? `${text.slice(0, LONGEST_VALUE - 1)}…` : text;
}
