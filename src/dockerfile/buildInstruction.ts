import { execForm } from "./commandForm.ts";
import { heredocOf, splitWords } from "./heredocWords.ts";
import type { CommandLine, Heredoc, Instruction, InstructionBase } from "./instruction.ts";
import type { LogicalLine } from "./logicalLines.ts";
import { nameValues } from "./nameValue.ts";
import { nearest } from "./nearest.ts";
import { parseDuration } from "./parseDuration.ts";
import { parseMount } from "./parseMount.ts";
import { type FlagKinds, type SplitFlags, splitFlags } from "./splitFlags.ts";
import { syntaxError } from "./syntaxError.ts";

const COPY_FLAGS: FlagKinds = {
  from: "string",
  chown: "string",
  chmod: "string",
  link: "bool",
  parents: "bool",
  exclude: "list",
};

const FLAGS: Record<string, FlagKinds> = {
  from: { platform: "string" },
  run: { mount: "list", network: "string", security: "string", device: "list" },
  copy: COPY_FLAGS,
  add: { ...COPY_FLAGS, checksum: "string", "keep-git-dir": "bool", unpack: "bool" },
  healthcheck: {
    interval: "string",
    timeout: "string",
    "start-period": "string",
    "start-interval": "string",
    retries: "string",
  },
};

const NAMES = [
  "ADD",
  "ARG",
  "CMD",
  "COPY",
  "ENTRYPOINT",
  "ENV",
  "EXPOSE",
  "FROM",
  "HEALTHCHECK",
  "LABEL",
  "MAINTAINER",
  "ONBUILD",
  "RUN",
  "SHELL",
  "STOPSIGNAL",
  "USER",
  "VOLUME",
  "WORKDIR",
];

/** What one instruction of the text says. @throws SlipwayError `DOCKERFILE_SYNTAX` with its lines and, for a slip of the hand, a suggestion */
export function buildInstruction(line: LogicalLine, escapeChar: "\\" | "`"): Instruction {
  const { range } = line;
  const [, word = "", tail = ""] = /^(\S+)\s*([\s\S]*)$/.exec(line.text) ?? [];
  const kind = word.toLowerCase();
  const name = word.toUpperCase();
  if (!NAMES.includes(name)) {
    const near = nearest(name, NAMES);
    throw syntaxError(
      `unknown instruction: ${word}`,
      range,
      near === undefined ? "An instruction is a word such as FROM, RUN or COPY." : `Did you mean ${near}?`,
    );
  }
  const base: InstructionBase = { range, original: line.text, comments: line.comments };
  const flags = splitFlags(tail, FLAGS[kind] ?? {}, escapeChar, range);
  const rest = flags.rest.trim();
  const words = (): string[] => splitWords(rest, escapeChar);
  const json = execForm(rest);

  const need = (count: "one" | "at least one", given: number): void => {
    if (count === "one" ? given === 1 : given >= 1) return;
    const what = count === "one" ? "exactly one argument" : "at least one argument";
    throw syntaxError(`${name} requires ${what}`, range);
  };
  const commandLine = (): CommandLine =>
    json === undefined
      ? { shell: true, words: rest === "" ? [] : [rest], files: [] }
      : { shell: false, words: json, files: [] };

  switch (kind) {
    case "from": {
      const args = words();
      const image = args[0];
      if (
        image === undefined ||
        (args.length !== 1 && args.length !== 3) ||
        (args.length === 3 && args[1]?.toLowerCase() !== "as")
      ) {
        throw syntaxError("FROM requires either one or three arguments", range, "For example: FROM alpine AS build");
      }
      const as = args[2];
      if (as !== undefined && !/^[a-z][a-z0-9-_.]*$/.test(as.toLowerCase())) {
        throw syntaxError(
          `invalid name for build stage: ${JSON.stringify(as)}, name can't start with a number or contain symbols`,
          range,
        );
      }
      return { ...base, kind, image, ...string(flags, "platform"), ...(as === undefined ? {} : { as }) };
    }
    case "arg": {
      const args = words();
      need("at least one", args.length);
      return {
        ...base,
        kind,
        args: args.map((each) => {
          const equals = each.indexOf("=");
          if (equals === 0) throw syntaxError("ARG names can not be blank", range);
          return equals < 0 ? { key: each } : { key: each.slice(0, equals), value: each.slice(equals + 1) };
        }),
      };
    }
    case "env":
    case "label":
      return { ...base, kind, pairs: nameValues(name, rest, escapeChar, range) };
    case "run":
      return {
        ...base,
        kind,
        command: runCommand(line, rest, json),
        mounts: ((flags.values.mount as string[] | undefined) ?? []).map((each) => parseMount(each, range)),
        device: (flags.values.device as string[] | undefined) ?? [],
        ...string(flags, "network"),
        ...string(flags, "security"),
      };
    case "copy":
    case "add":
      return copyInstruction(base, kind, flags, json ?? words(), line, escapeChar);
    case "cmd":
    case "entrypoint":
      return { ...base, kind, command: commandLine() };
    case "workdir":
      need("one", rest === "" ? 0 : 1);
      return { ...base, kind, path: rest };
    case "user":
      need("one", words().length);
      return { ...base, kind, user: rest };
    case "volume": {
      const paths = json ?? words();
      need("at least one", paths.length);
      if (paths.some((path) => path.trim() === ""))
        throw syntaxError("VOLUME specified can not be an empty string", range);
      return { ...base, kind, paths };
    }
    case "expose": {
      const ports = words();
      need("at least one", ports.length);
      return { ...base, kind, ports };
    }
    case "stopsignal":
      need("one", words().length);
      return { ...base, kind, signal: rest };
    case "shell":
      if (json === undefined || json.length === 0) {
        throw syntaxError(
          json === undefined
            ? "SHELL requires the arguments to be in JSON form"
            : "SHELL requires at least one argument",
          range,
          'For example: SHELL ["/bin/bash", "-c"]',
        );
      }
      return { ...base, kind, shell: json };
    case "healthcheck":
      return healthcheck(base, flags, rest, line);
    case "onbuild": {
      const trigger = /^\S+/.exec(rest)?.[0]?.toUpperCase() ?? "";
      need("at least one", rest === "" ? 0 : 1);
      if (trigger === "ONBUILD") throw syntaxError("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed", range);
      if (trigger === "MAINTAINER" || trigger === "FROM")
        throw syntaxError(`${trigger} isn't allowed as an ONBUILD trigger`, range);
      const bodies = line.heredocs.map((each) => `\n${each.content}${each.name}`).join("");
      return { ...base, kind, expression: rest + bodies };
    }
    case "maintainer":
      need("one", rest === "" ? 0 : 1);
      return { ...base, kind, maintainer: rest };
    default:
      throw new Error(`no reading of ${name}`);
  }
}

function string<K extends string>(flags: SplitFlags, key: K): { [P in K]?: string } {
  const value = flags.values[key];
  return (typeof value === "string" ? { [key]: value } : {}) as { [P in K]?: string };
}

/** A heredoc alone is the script; with a command before it, the whole text goes to the shell as it stands. */
function runCommand(line: LogicalLine, rest: string, json: string[] | undefined): CommandLine {
  if (json !== undefined) return { shell: false, words: json, files: [] };
  if (rest === "") throw syntaxError("RUN requires at least one argument", line.range);
  return { shell: true, words: [rest], files: line.heredocs };
}

function copyInstruction(
  base: InstructionBase,
  kind: "copy" | "add",
  flags: SplitFlags,
  words: string[],
  line: LogicalLine,
  escapeChar: "\\" | "`",
): Instruction {
  const name = kind.toUpperCase();
  const dest = words.at(-1);
  const sources = words.slice(0, -1);
  const inline = (word: string): Heredoc | undefined => {
    const opened = line.heredocs.length === 0 ? undefined : heredocOf(word, escapeChar);
    return opened === undefined ? undefined : line.heredocs.find((each) => each.name === opened.name);
  };
  if (dest === undefined || sources.length === 0) {
    throw syntaxError(
      `${name} requires at least two arguments, but only ${words.length} was provided. Destination could not be determined.`,
      base.range,
      `For example: ${name} file.txt /srv/`,
    );
  }
  if (inline(dest) !== undefined) throw syntaxError(`${name} cannot accept a heredoc as a destination`, base.range);
  const heredocs = sources.flatMap((word) => inline(word) ?? []);
  const { values } = flags;
  return {
    ...base,
    kind,
    source: { paths: sources.filter((word) => inline(word) === undefined), heredocs },
    dest,
    link: values.link === true,
    parents: values.parents === true,
    exclude: (values.exclude as string[] | undefined) ?? [],
    ...string(flags, "from"),
    ...string(flags, "chown"),
    ...string(flags, "chmod"),
    ...string(flags, "checksum"),
    ...("keep-git-dir" in values ? { keepGitDir: values["keep-git-dir"] === true } : {}),
    ...("unpack" in values ? { unpack: values.unpack === true } : {}),
  };
}

const MIN_DURATION = 1_000_000; // a millisecond, Docker's bound

function healthcheck(base: InstructionBase, flags: SplitFlags, rest: string, line: LogicalLine): Instruction {
  const { range } = line;
  const [, type = "", tail = ""] = /^(\S+)\s*([\s\S]*)$/.exec(rest) ?? [];
  if (type === "") throw syntaxError("HEALTHCHECK requires at least one argument", range);
  if (type.toUpperCase() === "NONE") {
    if (tail !== "") throw syntaxError("HEALTHCHECK NONE takes no arguments", range);
    return { ...base, kind: "healthcheck", test: ["NONE"] };
  }
  if (type.toUpperCase() !== "CMD")
    throw syntaxError(`unknown type ${JSON.stringify(type)} in HEALTHCHECK (try CMD)`, range);
  const words = execForm(tail);
  if (tail === "" || words?.length === 0) throw syntaxError("missing command after HEALTHCHECK CMD", range);
  const duration = (flag: string): number | undefined => {
    const text = flags.values[flag];
    if (typeof text !== "string") return undefined;
    const value = parseDuration(text);
    if (value === undefined)
      throw syntaxError(`invalid duration ${JSON.stringify(text)} for --${flag}`, range, "For example 30s or 1m30s.");
    if (value < 0) throw syntaxError(`interval ${JSON.stringify(flag)} must be positive`, range);
    if (value > 0 && value < MIN_DURATION)
      throw syntaxError(`interval ${JSON.stringify(flag)} cannot be less than 1ms`, range);
    return value;
  };
  const retries = flags.values.retries;
  if (typeof retries === "string" && !/^\d+$/.test(retries))
    throw syntaxError(`--retries must be a whole number that is not negative, not ${retries}`, range);
  const said: Record<string, number | undefined> = {
    interval: duration("interval"),
    timeout: duration("timeout"),
    startPeriod: duration("start-period"),
    startInterval: duration("start-interval"),
    retries: typeof retries === "string" ? Number(retries) : undefined,
  };
  return {
    ...base,
    kind: "healthcheck",
    test: words === undefined ? ["CMD-SHELL", tail] : ["CMD", ...words],
    ...Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined)),
  };
}
