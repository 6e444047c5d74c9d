import { SlipwayError } from "../oci/SlipwayError.ts";

/** `any`: one character but `/`. `star`: any number of them. `deep`: nothing, or anything up to a `/`. `rest`: all that follows. */
export type GlobToken =
  | { kind: "text"; text: string }
  | { kind: "any" | "star" | "deep" | "rest" }
  | { kind: "class"; negated: boolean; ranges: [number, number][] };

/**
 * Reads a pattern in the syntax of Go's `filepath.Match`; with `doubleStar`, `**` crosses directories as in ignore files.
 * @throws SlipwayError `INVALID_PATTERN`
 */
export function globTokens(pattern: string, doubleStar: boolean): GlobToken[] {
  const tokens: GlobToken[] = [];
  let text = "";
  let at = 0;
  const add = (token: GlobToken): void => {
    if (text !== "") tokens.push({ kind: "text", text });
    text = "";
    tokens.push(token);
  };
  while (at < pattern.length) {
    const character = pattern[at] as string;
    if (character === "*" && doubleStar && pattern[at + 1] === "*") {
      at += pattern[at + 2] === "/" ? 3 : 2;
      add({ kind: at >= pattern.length ? "rest" : "deep" });
    } else if (character === "*") {
      add({ kind: "star" });
      at++;
    } else if (character === "?") {
      add({ kind: "any" });
      at++;
    } else if (character === "[") {
      const read = readClass(pattern, at + 1);
      add(read.token);
      at = read.end;
    } else if (character === "\\") {
      if (at + 1 >= pattern.length) throw badPattern();
      text += pattern[at + 1];
      at += 2;
    } else {
      text += character;
      at++;
    }
  }
  if (text !== "") tokens.push({ kind: "text", text });
  return tokens;
}

export function classHolds(token: Extract<GlobToken, { kind: "class" }>, code: number): boolean {
  return token.ranges.some(([low, high]) => low <= code && code <= high) !== token.negated;
}

export function badPattern(): SlipwayError {
  return new SlipwayError("INVALID_PATTERN", "syntax error in pattern");
}

function readClass(pattern: string, from: number): { token: GlobToken; end: number } {
  let at = from;
  const negated = pattern[at] === "^";
  if (negated) at++;
  const ranges: [number, number][] = [];
  const bound = (): number => {
    if (pattern[at] === "\\") at++;
    else if (pattern[at] === "-" || pattern[at] === "]") throw badPattern();
    const code = pattern.codePointAt(at);
    if (code === undefined) throw badPattern();
    at += code > 0xffff ? 2 : 1;
    return code;
  };
  while (ranges.length === 0 || pattern[at] !== "]") {
    const low = bound();
    let high = low;
    if (pattern[at] === "-") {
      at++;
      high = bound();
    }
    ranges.push([low, high]);
    if (at >= pattern.length) throw badPattern();
  }
  return { token: { kind: "class", negated, ranges }, end: at + 1 };
}
