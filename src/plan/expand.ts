import type { Heredoc } from "../dockerfile/instruction.ts";
import { expandWord as expand, expandWords as split, processWord, type WordResult } from "../dockerfile/words.ts";
import { SlipwayError, type SourceRange } from "../oci/SlipwayError.ts";

type Env = ReadonlyMap<string, string>;
type Escape = "\\" | "`";

/** One word with its variables replaced and its quotes gone. Errors carry the instruction's range. */
export function expandWord(word: string, env: Env, mark: Escape, range: SourceRange): string {
  return ranged(range, () => expand(word, env, { escape: mark }));
}

/** Like `expandWord`, with the names of the variables that were and were not set. */
export function expandWordFully(word: string, env: Env, mark: Escape, range: SourceRange): WordResult {
  return ranged(range, () => processWord(word, env, { escape: mark }));
}

/** Like `expandWord`, but unquoted blanks part the result into words. */
export function expandWords(word: string, env: Env, mark: Escape, range: SourceRange): string[] {
  return ranged(range, () => split(word, env, { escape: mark }));
}

/** For progress: an instruction that cannot be expanded is shown as written. With `keepQuotes`, unknown variables stay as well (RUN). */
export function expandForDisplay(text: string, env: Env, mark: Escape, keepQuotes: boolean): string {
  try {
    return expand(text, env, keepQuotes ? { escape: mark, rawQuotes: true, skipUnset: true } : { escape: mark });
  } catch (error) {
    if (error instanceof SlipwayError) return text;
    throw error;
  }
}

/** A heredoc as a file: tabs gone after `<<-`, variables replaced unless the delimiter was quoted. Quotes are content. */
export function expandHeredoc(heredoc: Heredoc, env: Env): string {
  const content = chompHeredoc(heredoc);
  return heredoc.expand ? expand(content, env, { escape: "\\", skipQuotes: true }) : content;
}

/** The content without the tabs that `<<-` drops. */
export function chompHeredoc({ content, chomp }: Heredoc): string {
  return chomp ? content.replace(/^\t+/gm, "") : content;
}

function ranged<T>(range: SourceRange, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof SlipwayError) || error.range !== undefined) throw error;
    throw new SlipwayError(error.code, error.message, {
      cause: error,
      range,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    });
  }
}
