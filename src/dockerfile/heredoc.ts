import { SlipwayError } from "../oci/SlipwayError.ts";
import type { Heredoc } from "./instruction.ts";
import { expandWords, type WordOptions } from "./words.ts";

const none: ReadonlyMap<string, string> = new Map();

/**
 * Reads one word as the start of a heredoc, `[fd]<<[-]NAME`; undefined when it is none.
 * @throws SlipwayError `INVALID_WORD` where a quote in the name is not closed
 */
export function parseHeredocWord(word: string): Heredoc | undefined {
  const match = /^(\d*)<<(-?)([^<]+)$/.exec(word);
  if (match === null) return undefined;
  const [, descriptor = "", dash, rest = ""] = match;
  const [name, ...others] = expandWords(rest, none, { skipUnset: true });
  if (name === undefined || others.length > 0) return undefined;
  const [raw = ""] = expandWords(rest, none, { skipUnset: true, rawQuotes: true });
  return {
    name,
    content: "",
    // Quotes that went away were quotes of the shell's kind, and they say that the body is literal.
    expand: quotes(name) === quotes(raw),
    chomp: dash === "-",
    fileDescriptor: Number(descriptor),
  };
}

/** The heredocs that an instruction's line opens, in order. A line whose quotes do not close opens none. */
export function heredocsOfLine(line: string): Heredoc[] {
  if (!line.includes("<<")) return [];
  const heredocs: Heredoc[] = [];
  const words = lineWords(line);
  for (let at = 0; at < words.length; at++) {
    let word = words[at] as string;
    // `<< EOF` is one heredoc, `<<- EOF` none.
    if (/^\d*<<$/.test(word) && at + 1 < words.length) word += ` ${words[++at]}`;
    const heredoc = parseHeredocWord(word);
    if (heredoc !== undefined) heredocs.push(heredoc);
  }
  return heredocs;
}

/** The body without the tabs at the start of its lines, as `<<-` asks. */
export function chompHeredoc(content: string): string {
  return content.replace(/^\t+/gm, "");
}

function lineWords(line: string): string[] {
  const options: WordOptions = { rawQuotes: true, rawEscapes: true, skipUnset: true };
  try {
    return expandWords(line, none, options);
  } catch (error) {
    if (error instanceof SlipwayError) return [];
    throw error;
  }
}

function quotes(text: string): number {
  return text.split(/["']/).length - 1;
}

export { splitWords } from "./readValues.ts";
export const heredocOf = (word: string, _escape: string): Heredoc | undefined => parseHeredocWord(word);
export const findHeredocs = (line: string, _escape: string): Heredoc[] =>
  /^\s*(?:onbuild\s+)?(?:run|copy|add)\s/i.test(line) ? heredocsOfLine(line) : [];
