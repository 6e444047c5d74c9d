import { SlipwayError } from "../oci/SlipwayError.ts";
import { nearest } from "./nearest.ts";

/** What a flag takes: `string` once, `list` any number of times, `bool` may stand alone. */
export type FlagKind = "string" | "list" | "bool";

/** The flags that were given. A flag that was not is not there. */
export interface GivenFlags {
  string(name: string): string | undefined;
  list(name: string): string[];
  bool(name: string): boolean | undefined;
  readonly names: string[];
}

/** Reads `--name[=value]` words; a lone `--` ends them. @throws SlipwayError `INVALID_FLAG` */
export function readFlags(words: readonly string[], kinds: Readonly<Record<string, FlagKind>> = {}): GivenFlags {
  if (words.length === 0) return noFlags;
  const given = new Map<string, string[]>();
  for (const word of words) {
    if (!word.startsWith("--")) throw invalid(`arg should start with -- : ${word}`);
    if (word === "--") break;
    const equals = word.indexOf("=");
    const name = word.slice(2, equals < 0 ? undefined : equals);
    const value = equals < 0 ? undefined : word.slice(equals + 1);
    const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
    if (kind === undefined) throw unknown(name, Object.keys(kinds));
    const before = given.get(name);
    if (before !== undefined && kind !== "list") throw invalid(`duplicate flag specified: --${name}`);
    if (kind !== "bool" && value === undefined) throw invalid(`missing a value on flag: --${name}`);
    if (kind === "bool") given.set(name, [readBool(name, value)]);
    else if (before === undefined) given.set(name, [value as string]);
    else before.push(value as string);
  }
  return {
    names: [...given.keys()],
    string: (name) => given.get(name)?.[0],
    list: (name) => given.get(name) ?? [],
    bool: (name) => (given.has(name) ? given.get(name)?.[0] === "true" : undefined),
  };
}

// Most instructions have none.
const noFlags: GivenFlags = { names: [], string: () => undefined, list: () => [], bool: () => undefined };

function readBool(name: string, value: string | undefined): string {
  if (value === "") throw invalid(`missing a value on flag: --${name}`);
  const lower = value === undefined ? "true" : value.toLowerCase();
  if (lower === "true" || lower === "false") return lower;
  throw invalid(`expecting boolean value for flag --${name}, not: ${value}`);
}

function unknown(name: string, names: string[]): SlipwayError {
  const near = nearest(name, names);
  const known = names.map((each) => `--${each}`).join(", ");
  const hint = near === undefined ? (names.length === 0 ? undefined : `It takes ${known}.`) : `Did you mean --${near}?`;
  return new SlipwayError("UNKNOWN_FLAG", `unknown flag: --${name}`, hint === undefined ? {} : { hint });
}

function invalid(message: string): SlipwayError {
  return new SlipwayError("INVALID_FLAG", message);
}
