import type { SourceRange } from "../oci/SlipwayError.ts";
import { splitWords } from "./heredocWords.ts";
import { nearest } from "./nearest.ts";
import { syntaxError } from "./syntaxError.ts";

/** What an instruction takes: `string` and `list` want a value, `bool` may go without. */
export type FlagKinds = Record<string, "string" | "list" | "bool">;

export interface SplitFlags {
  /** Values as written; `true` and `false` for booleans; a list for those that may be repeated. */
  values: Record<string, string | boolean | string[]>;
  rest: string;
}

/** Takes `--name[=value]` off the front of an instruction's arguments. @throws SlipwayError `DOCKERFILE_SYNTAX` */
export function splitFlags(text: string, kinds: FlagKinds, escapeChar: "\\" | "`", range: SourceRange): SplitFlags {
  const values: SplitFlags["values"] = {};
  let rest = text.trimStart();
  while (rest.startsWith("--")) {
    const [word = ""] = splitWords(rest, escapeChar);
    rest = rest.slice(word.length).trimStart();
    if (word === "--") break;
    const equals = word.indexOf("=");
    const name = word.slice(2, equals < 0 ? undefined : equals);
    const value = equals < 0 ? undefined : word.slice(equals + 1);
    const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
    if (kind === undefined) {
      const near = nearest(name, Object.keys(kinds));
      throw syntaxError(`unknown flag: --${name}`, range, near === undefined ? undefined : `Did you mean --${near}?`);
    }
    if (kind !== "list" && name in values) throw syntaxError(`duplicate flag specified: --${name}`, range);
    if (kind === "bool") {
      if (value !== undefined && value !== "true" && value !== "false") {
        throw syntaxError(`expecting boolean value for flag --${name}, not: ${value}`, range);
      }
      values[name] = value !== "false";
    } else if (value === undefined) {
      throw syntaxError(`missing a value on flag: --${name}`, range);
    } else if (kind === "list") values[name] = [...((values[name] as string[] | undefined) ?? []), value];
    else values[name] = value;
  }
  return { values, rest };
}
