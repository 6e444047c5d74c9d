import { SlipwayError } from "../oci/SlipwayError.ts";
import { csvFields } from "./csvFields.ts";
import type { MountFlag } from "./instruction.ts";
import { nearest } from "./nearest.ts";
import { parseBool } from "./parseBool.ts";

const types = ["bind", "cache", "tmpfs", "secret", "ssh"] as const;
const sharings = ["shared", "private", "locked"] as const;

/** Keys by their short and long names. */
const keys: Readonly<Record<string, string>> = {
  type: "type",
  from: "from",
  source: "source",
  src: "source",
  target: "target",
  dst: "target",
  destination: "target",
  readonly: "readonly",
  ro: "readonly",
  readwrite: "readwrite",
  rw: "readwrite",
  required: "required",
  size: "size",
  id: "id",
  sharing: "sharing",
  mode: "mode",
  uid: "uid",
  gid: "gid",
  env: "env",
};

/**
 * Reads the value of one `RUN --mount`. A key whose value is one of a few words or a truth value is read when it holds no variable; with
 * `expand`, which replaces the variables of a value, all are. `text` is kept in the result for that second reading.
 * @throws SlipwayError `INVALID_MOUNT`
 */
export function parseMount(text: string, expand?: (value: string) => string): MountFlag {
  const mount: MountFlag = { type: "bind", text };
  for (const field of fieldsOf(text)) setField(mount, field, expand);
  if (expand !== undefined || !text.includes("$")) validate(mount);
  // A secret is named by either.
  if (mount.type === "secret" && mount.id === undefined && mount.source !== undefined) mount.id = mount.source;
  return mount;
}

function setField(mount: MountFlag, field: string, expand: ((value: string) => string) | undefined): void {
  const equals = field.indexOf("=");
  const written = (equals < 0 ? field : field.slice(0, equals)).toLowerCase();
  const key = Object.hasOwn(keys, written) ? keys[written] : undefined;
  if (key === undefined) throw invalid(`unexpected key '${written}' in '${field}'`, near(written, Object.keys(keys)));
  const value = equals < 0 ? undefined : field.slice(equals + 1);
  if (value === undefined) {
    if (key !== "readonly" && key !== "readwrite" && key !== "required")
      throw invalid(`invalid field '${field}' must be a key=value pair`);
    if (key === "required") mount.required = true;
    else mount.readOnly = key === "readonly";
    return;
  }
  if (key === "from" && /\$./.test(value))
    throw invalid(`'${written}' doesn't support variable expansion, define alias stage instead`);
  const word = expand === undefined ? value : expand(value);
  const later = expand === undefined && word.includes("$");
  switch (key) {
    case "type":
      if (!later) mount.type = oneOf("mount type", word, types);
      return;
    case "sharing":
      if (!later) mount.sharing = oneOf("sharing value", word, sharings);
      return;
    case "readonly":
      if (!later) mount.readOnly = truth(written, word);
      return;
    case "readwrite":
      if (!later) mount.readOnly = !truth(written, word);
      return;
    case "required":
      if (!later) mount.required = truth(written, word);
      return;
    default:
      mount[key as "from" | "source" | "target" | "id" | "env" | "size" | "mode" | "uid" | "gid"] = word;
  }
}

function validate(mount: MountFlag): void {
  const { type } = mount;
  const secret = type === "secret";
  const owned = secret || type === "ssh" || type === "cache";
  for (const key of ["mode", "uid", "gid"] as const) {
    const value = mount[key];
    if (value === undefined) continue;
    if (!owned) throw invalid(`${key} not allowed for "${type}" type mounts`);
    if (!(key === "mode" ? /^[0-7]+$/ : /^\d+$/).test(value)) throw invalid(`invalid value ${value} for ${key}`);
  }
  if (mount.required !== undefined && !secret && type !== "ssh")
    throw invalid(`unexpected key 'required' for mount type '${type}'`);
  if (mount.size !== undefined && type !== "tmpfs") throw invalid(`unexpected key 'size' for mount type '${type}'`);
  if (mount.env !== undefined && !secret) throw invalid(`unexpected key 'env' for mount type '${type}'`);
  if (secret) {
    if (mount.from !== undefined) throw invalid("secret mount should not have a from");
    if (mount.sharing !== undefined) throw invalid("secret mount should not define sharing");
    if (!mount.source && !mount.target && !mount.id && !mount.env)
      throw invalid("invalid secret mount. one of source, target required", "Name the secret: id=name");
    if (mount.source && mount.id) throw invalid("both source and id can't be set");
  }
  if (mount.sharing !== undefined && type !== "cache") throw invalid(`invalid cache sharing set for ${type} mount`);
}

function fieldsOf(text: string): string[] {
  try {
    return csvFields(text);
  } catch (error) {
    throw invalid(`failed to parse csv mounts: ${(error as Error).message}`);
  }
}

function oneOf<T extends string>(what: string, word: string, allowed: readonly T[]): T {
  const found = allowed.find((each) => each === word.toLowerCase());
  if (found !== undefined) return found;
  throw invalid(`unsupported ${what} ${JSON.stringify(word)}`, near(word, allowed) ?? `It is ${allowed.join(" or ")}.`);
}

function truth(key: string, word: string): boolean {
  const value = parseBool(word);
  if (value === undefined) throw invalid(`invalid value for ${key}: ${word}`);
  return value;
}

function near(word: string, options: readonly string[]): string | undefined {
  const found = nearest(word, options);
  return found === undefined ? undefined : `Did you mean ${found}?`;
}

function invalid(message: string, hint?: string): SlipwayError {
  return new SlipwayError("INVALID_MOUNT", message, hint === undefined ? {} : { hint });
}
