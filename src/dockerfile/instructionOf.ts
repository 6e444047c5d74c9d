import { SlipwayError } from "../oci/SlipwayError.ts";
import { type FlagKind, type GivenFlags, readFlags } from "./flags.ts";
import { parseHeredocWord } from "./heredoc.ts";
import type { CommandLine, Heredoc, Instruction, KeyValue } from "./instruction.ts";
import { nearest } from "./nearest.ts";
import type { Node } from "./node.ts";
import { parseHealthcheck } from "./parseHealthcheck.ts";
import { parseMount } from "./parseMount.ts";
import { valueReaders } from "./readValues.ts";
import { trimSpace } from "./space.ts";

/** An instruction that does not know yet where it stands. */
type Unplaced = Instruction extends infer I ? (I extends Instruction ? Omit<I, "range"> : never) : never;

/** Names in capitals. */
export const instructionNames: readonly string[] = [...Object.keys(valueReaders), "onbuild"]
  .map((name) => name.toUpperCase())
  .sort();

const copyFlags = { exclude: "list", chown: "string", chmod: "string", link: "bool" } as const;

const flagKinds: Readonly<Record<string, Readonly<Record<string, FlagKind>>>> = {
  add: { ...copyFlags, "keep-git-dir": "bool", checksum: "string", unpack: "bool" },
  copy: { ...copyFlags, from: "string", parents: "bool" },
  from: { platform: "string" },
  healthcheck: {
    interval: "string",
    timeout: "string",
    "start-period": "string",
    "start-interval": "string",
    retries: "string",
  },
  run: { mount: "list", network: "string", security: "string", device: "list" },
};

/** What a node means. Counts of arguments are checked before flags, as BuildKit does. @throws SlipwayError */
export function instructionOf(node: Node): Unplaced {
  const kind = node.name.toLowerCase();
  const name = kind.toUpperCase();
  if (!isKnown(kind)) throw unknownInstruction(node.name);
  const { values, json } = node;
  const base = { original: node.original, comments: node.comments };
  const given = (): GivenFlags => readFlags(node.flags, flagKinds[kind]);

  switch (kind) {
    case "from":
      return { ...base, kind, ...fromParts(values, given) };
    case "arg":
      needSome(name, values);
      given();
      return { ...base, kind, args: values.map(argument) };
    case "env":
    case "label":
      given();
      return { ...base, kind, pairs: keyValues(name, values) };
    case "run": {
      const flags = given();
      return {
        ...base,
        kind,
        command: commandLine(node, node.heredocs),
        mounts: flags.list("mount").map((text) => parseMount(text)),
        ...optional("network", flags.string("network")),
        ...optional("security", flags.string("security")),
        device: flags.list("device"),
      };
    }
    case "copy":
    case "add":
      return { ...base, kind, ...copyParts(name, node, given) };
    case "cmd":
    case "entrypoint":
      given();
      return { ...base, kind, command: commandLine(node) };
    case "workdir":
      return { ...base, kind, path: only(name, values, given) };
    case "user":
      return { ...base, kind, user: only(name, values, given) };
    case "stopsignal":
      return { ...base, kind, signal: only(name, values, given) };
    case "maintainer":
      return { ...base, kind, maintainer: only(name, values, given) };
    case "volume": {
      needSome(name, values);
      given();
      const paths = values.map(trimSpace);
      if (paths.includes("")) throw invalid("VOLUME specified can not be an empty string");
      return { ...base, kind, paths };
    }
    case "expose":
      needSome(name, values);
      given();
      return { ...base, kind, ports: values.toSorted() };
    case "shell":
      given();
      if (values.length === 0) throw invalid("SHELL requires at least one argument");
      if (!json)
        throw invalid(
          `SHELL requires the arguments to be in JSON form, not: ${node.original}`,
          'For example: SHELL ["/bin/bash", "-c"]',
        );
      return { ...base, kind, shell: values };
    case "healthcheck":
      needSome(name, values);
      return { ...base, kind, ...parseHealthcheck(values, json, given()) };
    case "onbuild":
      return { ...base, kind, expression: triggerText(node, given) };
    default:
      throw new Error(`${name} has a name but no meaning`);
  }
}

function fromParts(values: readonly string[], flags: () => GivenFlags) {
  const [image = "", keyword, as] = values;
  if (values.length !== 1 && (values.length !== 3 || keyword?.toLowerCase() !== "as"))
    throw invalid("FROM requires either one or three arguments", "For example: FROM alpine AS build");
  if (as !== undefined && !/^[a-z][a-z0-9-_.]*$/.test(as.toLowerCase()))
    throw invalid(
      `invalid name for build stage: ${JSON.stringify(as)}, name can't start with a number or contain symbols`,
    );
  return { image, ...optional("platform", flags().string("platform")), ...optional("as", as) };
}

function copyParts(name: string, { values, heredocs }: Node, given: () => GivenFlags) {
  if (values.length < 2)
    throw invalid(
      `${name} requires at least two arguments, but only one was provided. Destination could not be determined`,
      `For example: ${name} file.txt /srv/`,
    );
  const flags = given();
  const dest = values.at(-1) ?? "";
  if (heredocWord(dest) !== undefined) throw invalid(`${name} cannot accept a heredoc as a destination`);
  const paths: string[] = [];
  const inline: Heredoc[] = [];
  const byName = new Map(heredocs.map((heredoc) => [heredoc.name, heredoc]));
  for (const word of values.slice(0, -1)) {
    const opened = heredocWord(word);
    if (opened === undefined) paths.push(word);
    else inline.push(byName.get(opened.name) ?? opened);
  }
  return {
    source: { paths, heredocs: inline },
    dest,
    ...optional("from", flags.string("from")),
    ...optional("chown", flags.string("chown")),
    ...optional("chmod", flags.string("chmod")),
    link: flags.bool("link") ?? false,
    parents: flags.bool("parents") ?? false,
    exclude: flags.list("exclude"),
    ...optional("checksum", flags.string("checksum")),
    ...optional("keepGitDir", flags.bool("keep-git-dir")),
    ...optional("unpack", flags.bool("unpack")),
  };
}

function heredocWord(word: string): Heredoc | undefined {
  try {
    return parseHeredocWord(word);
  } catch (error) {
    if (error instanceof SlipwayError) return undefined;
    throw error;
  }
}

function argument(word: string): { key: string; value?: string } {
  const equals = word.indexOf("=");
  if (equals === 0) throw invalid("ARG names can not be blank");
  return equals < 0 ? { key: word } : { key: word.slice(0, equals), value: word.slice(equals + 1) };
}

/** Values in threes: key, value, separator. */
function keyValues(name: string, values: readonly string[]): KeyValue[] {
  needSome(name, values);
  if (values.length % 3 !== 0) throw invalid(`Bad input to ${name}, too many arguments`);
  const pairs: KeyValue[] = [];
  for (let i = 0; i < values.length; i += 3) {
    const [key = "", value = "", separator] = values.slice(i, i + 3);
    if (key === "") throw invalid(`${name} names can not be blank`);
    pairs.push(separator === "" ? { key, value, legacy: true } : { key, value });
  }
  return pairs;
}

function commandLine({ values, json }: Node, files: Heredoc[] = []): CommandLine {
  if (json) return { shell: false, words: [...values], files };
  return { shell: true, words: values.length === 0 ? [] : [values.join(" ")], files };
}

/** What ONBUILD keeps: the trigger as written, with the bodies of its heredocs. */
function triggerText({ trigger, heredocs, original }: Node, flags: () => GivenFlags): string {
  if (trigger === undefined) throw invalid("ONBUILD requires at least one argument");
  flags();
  const name = trigger.name.toUpperCase();
  if (name === "ONBUILD") throw invalid("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
  if (name === "MAINTAINER" || name === "FROM") throw invalid(`${name} isn't allowed as an ONBUILD trigger`);
  if (!isKnown(name.toLowerCase())) throw unknownInstruction(trigger.name);
  const bodies = heredocs.map((heredoc) => `\n${heredoc.content}${heredoc.name}`);
  return original.replace(/^onbuild\s*/i, "") + bodies.join("");
}

function only(name: string, values: readonly string[], flags: () => GivenFlags): string {
  const [value, ...others] = values;
  if (value === undefined || others.length > 0) throw invalid(`${name} requires exactly one argument`);
  flags();
  return value;
}

function needSome(name: string, values: readonly string[]): void {
  if (values.length === 0) throw invalid(`${name} requires at least one argument`);
}

function isKnown(kind: string): boolean {
  return kind === "onbuild" || Object.hasOwn(valueReaders, kind);
}

function optional<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  return (value === undefined ? {} : { [key]: value }) as { [P in K]?: V };
}

function unknownInstruction(name: string): SlipwayError {
  const near = nearest(name, instructionNames, "fold");
  return new SlipwayError("UNKNOWN_INSTRUCTION", `unknown instruction: ${name}`, {
    hint: near === undefined ? "An instruction is a word such as FROM, RUN or COPY." : `Did you mean ${near}?`,
  });
}

function invalid(message: string, hint?: string): SlipwayError {
  return new SlipwayError("INVALID_INSTRUCTION", message, hint === undefined ? {} : { hint });
}
