import { isSpace, trimSpaceStart } from "./space.ts";

export interface Values {
  values: string[];
  json: boolean;
}

/** Reads what follows an instruction's name and flags. `mark` is the escape directive's character. @throws Error with the reason only */
export type ValueReader = (rest: string, mark: string) => Values;

/** How each instruction's arguments are written. ONBUILD is not here: what follows it is an instruction. */
export const valueReaders: Readonly<Record<string, ValueReader>> = {
  add: arrayOrWords,
  arg: (rest, mark) => plain(splitWords(rest, mark)),
  cmd: arrayOrText,
  copy: arrayOrWords,
  entrypoint: arrayOrText,
  env: (rest, mark) => plain(readPairs("ENV", rest, mark)),
  expose: blankSeparated,
  from: blankSeparated,
  healthcheck: typeAndCommand,
  label: (rest, mark) => plain(readPairs("LABEL", rest, mark)),
  maintainer: wholeText,
  run: arrayOrText,
  shell: arrayOrText,
  stopsignal: wholeText,
  user: wholeText,
  volume: arrayOrWords,
  workdir: wholeText,
};

/** A JSON array of strings; undefined when it is not JSON at all. @throws Error when it is an array of something else */
export function readJsonArray(text: string): string[] | undefined {
  const start = trimSpaceStart(text);
  if (start[0] !== "[") return undefined;
  let value: unknown;
  try {
    value = JSON.parse(start);
  } catch {
    return undefined;
  }
  if (!Array.isArray(value)) return undefined;
  if (value.every((each) => typeof each === "string")) return value;
  throw new Error("when using JSON array syntax, arrays must be comprised of strings only");
}

/** Words parted by blanks. Quotes and escapes hold blanks together and stay in the word. */
export function splitWords(rest: string, mark: string): string[] {
  const words: string[] = [];
  let at = 0;
  for (;;) {
    while (at < rest.length && isSpace(rest.charCodeAt(at))) at++;
    if (at >= rest.length) return words;
    let word = "";
    let from = at;
    let quote = "";
    for (; at < rest.length; at++) {
      const character = rest[at] as string;
      if (character === mark && quote !== "'") {
        if (at + 1 < rest.length) at++;
        else {
          // An escape character with nothing behind it is dropped.
          word += rest.slice(from, at);
          from = at + 1;
        }
      } else if (quote !== "") {
        if (character === quote) quote = "";
      } else if (character === "'" || character === '"') quote = character;
      else if (isSpace(rest.charCodeAt(at))) break;
    }
    word += rest.slice(from, at);
    if (word !== "") words.push(word);
  }
}

/** `k=v …`, or the old `k v` where the first word has no `=`: key, value and separator of each. */
function readPairs(instruction: string, rest: string, mark: string): string[] {
  const words = splitWords(rest, mark);
  const [first] = words;
  if (first === undefined) return [];
  if (!first.includes("=")) {
    const blank = /[\t\v\f\r ]+/.exec(rest);
    if (blank === null) throw new Error(`${instruction} must have two arguments`);
    return [rest.slice(0, blank.index), rest.slice(blank.index + blank[0].length), ""];
  }
  const values: string[] = [];
  for (const word of words) {
    const equals = word.indexOf("=");
    if (equals < 0)
      throw new Error(`Syntax error - can't find = in ${JSON.stringify(word)}. Must be of the form: name=value`);
    values.push(word.slice(0, equals), word.slice(equals + 1), "=");
  }
  return values;
}

function arrayOrText(rest: string): Values {
  if (rest === "") return plain([]);
  const array = readJsonArray(rest);
  return array === undefined ? plain([rest]) : { values: array, json: true };
}

function arrayOrWords(rest: string): Values {
  const array = readJsonArray(rest);
  return array === undefined ? blankSeparated(rest) : { values: array, json: true };
}

/** HEALTHCHECK: a type, then a command in either form. */
function typeAndCommand(rest: string): Values {
  let end = 0;
  while (end < rest.length && !isSpace(rest.charCodeAt(end))) end++;
  if (end === 0) return plain([]);
  const { values, json } = arrayOrText(trimSpaceStart(rest.slice(end)));
  return { values: [rest.slice(0, end), ...values], json };
}

function blankSeparated(rest: string): Values {
  return plain(rest === "" ? [] : rest.split(/[\t\v\f\r ]+/));
}

function wholeText(rest: string): Values {
  return plain(rest === "" ? [] : [rest]);
}

function plain(values: string[]): Values {
  return { values, json: false };
}
