import { SlipwayError } from "../oci/SlipwayError.ts";
import type { Heredoc } from "./instruction.ts";
import { expandWords, type WordOptions } from "./words.ts";

/** Names that the lexer would leave as they are, and lines that it would part at blanks alone. */
const plainName = /^[\w.-]+$/;
const plainLine = /^[\w\t ./<:=-]*$/;

const none: ReadonlyMap<string, string> = new Map();

/**
 * Reads one word as the start of a heredoc, `[fd]<<[-]NAME`; undefined when it is none.
 * @throws SlipwayError `INVALID_WORD` where a quote in the name is not closed
 */
export function parseHeredocWord(word: string): Heredoc | undefined {
  const match = /^(\d*)<<(-?)([^<]*)$/.exec(word);
  if (match === null || match[3] === "") return undefined;
  const [, descriptor = "", dash, rest = ""] = match;
  const heredoc = { content: "", chomp: dash === "-", fileDescriptor: Number(descriptor) };
  if (plainName.test(rest)) return { name: rest, expand: true, ...heredoc };
  const [name, ...others] = expandWords(rest, none, { skipUnset: true });
  if (name === undefined || others.length > 0) return undefined;
  const [raw = ""] = expandWords(rest, none, { skipUnset: true, rawQuotes: true });
  // Quotes that went away were quotes of the shell's kind, and they say that the body is literal.
  return { name, expand: quotes(name) === quotes(raw), ...heredoc };
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
  if (plainLine.test(line)) return line.split(/[\t ]+/);
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
