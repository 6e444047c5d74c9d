import { isSpace, trimSpace } from "./space.ts";

export interface CommandParts {
  name: string;
  flags: string[];
  /** What follows the flags, as written. */
  rest: string;
}

/** Parts an instruction into its name, its `--flags` and the rest. A lone `--` ends the flags. */
export function splitCommand(line: string): CommandParts {
  const text = trimSpace(line);
  const blank = /[\t\v\f\r ]+/.exec(text);
  if (blank === null) return { name: text, flags: [], rest: "" };
  const { flags, end } = readFlags(text, blank.index + blank[0].length);
  return { name: text.slice(0, blank.index), flags, rest: trimSpace(text.slice(end)) };
}

/** Quotes hold blanks within a flag and are taken away; a backslash takes the next character as it is. */
function readFlags(line: string, from: number): { flags: string[]; end: number } {
  const flags: string[] = [];
  let at = from;
  for (;;) {
    while (at < line.length && isSpace(line.charCodeAt(at))) at++;
    if (line[at] !== "-" || line[at + 1] !== "-") return { flags, end: at };
    let word = "";
    let quote = "";
    for (; at < line.length; at++) {
      const character = line[at] as string;
      if (character === "\\") word += line[++at] ?? "";
      else if (quote !== "") {
        if (character === quote) quote = "";
        else word += character;
      } else if (character === "'" || character === '"') quote = character;
      else if (isSpace(line.charCodeAt(at))) break;
      else word += character;
    }
    if (word === "--") return { flags, end: at };
    flags.push(word);
  }
}
