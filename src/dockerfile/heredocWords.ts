import type { Heredoc } from "./instruction.ts";

/** Instructions that heredocs belong to, also behind ONBUILD. */
const ALLOWED = /^(?:onbuild\s+)*(?:run|copy|add)\b/i;
const WORD = /^(\d*)<<(-?)([^<]*)$/;

/** The heredocs that an instruction's line opens, in order, without their bodies. */
export function findHeredocs(text: string, escapeChar: "\\" | "`"): Omit<Heredoc, "content">[] {
  if (!text.includes("<<") || !ALLOWED.test(text)) return [];
  const rest = text.replace(/^(?:\S+\s+)?/, "");
  // A JSON form has no shell words in it.
  if (/^\s*\[/.test(rest)) return [];
  const found: Omit<Heredoc, "content">[] = [];
  for (const word of splitWords(rest, escapeChar)) {
    const heredoc = heredocOf(word, escapeChar);
    if (heredoc !== undefined) found.push(heredoc);
  }
  return found;
}

/** `<<EOF`, `<<-EOF`, `3<<"EOF"` as one word; undefined for anything else. */
export function heredocOf(word: string, escapeChar: "\\" | "`"): Omit<Heredoc, "content"> | undefined {
  const match = WORD.exec(word);
  if (match === null) return undefined;
  const [, descriptor = "", dash = "", rest = ""] = match;
  const name = unquote(rest, escapeChar);
  if (name === undefined || name === "") return undefined;
  return {
    name,
    expand: name === rest,
    chomp: dash === "-",
    fileDescriptor: descriptor === "" ? 0 : Number(descriptor),
  };
}

/** The word without its quotes; undefined where one is open. */
function unquote(word: string, escapeChar: "\\" | "`"): string | undefined {
  let out = "";
  for (let i = 0; i < word.length; i++) {
    const char = word[i] as string;
    if (char === "'" || char === '"') {
      const close = word.indexOf(char, i + 1);
      if (close < 0) return undefined;
      out += word.slice(i + 1, close);
      i = close;
    } else if (char === escapeChar) {
      out += word[++i] ?? "";
    } else out += char;
  }
  return out;
}

/** Shell words with their quotes and escapes kept. */
export function splitWords(text: string, escapeChar: "\\" | "`"): string[] {
  const words: string[] = [];
  let word = "";
  let quote = "";
  for (let i = 0; i < text.length; i++) {
    const char = text[i] as string;
    if (quote === "" && /\s/.test(char)) {
      if (word !== "") words.push(word);
      word = "";
      continue;
    }
    word += char;
    if (char === escapeChar && quote !== "'") {
      word += text[++i] ?? "";
    } else if (quote !== "") {
      if (char === quote) quote = "";
    } else if (char === "'" || char === '"') quote = char;
  }
  if (word !== "") words.push(word);
  return words;
}
