import { posix } from "node:path";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { parseGitRef } from "../gitRef.ts";
import { chompHeredoc } from "../heredoc.ts";
import type { IgnoreMatcher } from "../ignore.ts";
import type { Instruction, InstructionOf } from "../instruction.ts";
import { nearest } from "../nearest.ts";
import { parseMount } from "../parseMount.ts";
import { processWord, type WordOptions } from "../words.ts";
import { writtenName } from "./checkText.ts";
import type { Report } from "./violations.ts";

/** What is known at an instruction of a stage. It changes as instructions are passed. */
export interface Scope {
  env: Map<string, string>;
  /** ARGs so far, with or without a value. */
  declared: Set<string>;
  /** False below an image that nothing is known of: it may set any variable. */
  envKnown: boolean;
  workdirSet: boolean;
  shellSet: boolean;
}

export interface InstructionContext {
  report: Report;
  mark: "\\" | "`";
  buildArgs: ReadonlyMap<string, string>;
  globalArgs: ReadonlyMap<string, string>;
  /** The stage's last CMD, ENTRYPOINT and HEALTHCHECK. */
  last: Map<string, Instruction>;
  ignore: IgnoreMatcher | undefined;
  ignorePatterns: readonly string[];
}

/**
 * Checks one instruction and takes over what it sets.
 * @throws SlipwayError with the instruction's range, where a word cannot be expanded
 */
export function checkInstruction(instruction: Instruction, scope: Scope, context: InstructionContext): void {
  const { report } = context;
  const expand = expander(instruction, scope, context);
  switch (instruction.kind) {
    case "arg":
      for (const { key, value } of instruction.args) {
        checkSecret("ARG", key, instruction, report);
        const given = context.buildArgs.get(key) ?? (value === undefined ? context.globalArgs.get(key) : expand(value));
        if (given !== undefined && !key.startsWith("BUILDKIT_SBOM_SCAN_")) scope.env.set(key, given);
        scope.declared.add(key);
      }
      return;
    case "env": {
      const pairs = expandPairs(instruction, expand, report);
      for (const { key, value } of pairs) {
        checkSecret("ENV", key, instruction, report);
        scope.env.set(key, value);
      }
      return;
    }
    case "label":
      expandPairs(instruction, expand, report);
      return;
    case "run":
      for (const { text } of instruction.mounts) if (text !== undefined) parseMount(text, expand);
      return;
    case "copy":
    case "add":
      checkCopy(instruction, scope, context, expand);
      return;
    case "cmd":
    case "entrypoint":
      checkOnce(instruction, context);
      if (instruction.command.shell && !scope.shellSet)
        report("JSONArgsRecommended", instruction, { instruction: writtenName(instruction) });
      return;
    case "healthcheck":
      checkOnce(instruction, context);
      return;
    case "shell":
      scope.shellSet = true;
      return;
    case "workdir": {
      const path = expand(instruction.path);
      if (!scope.workdirSet && !path.startsWith("/")) report("WorkdirRelativePath", instruction, { workdir: path });
      scope.workdirSet = true;
      return;
    }
    case "user":
      expand(instruction.user);
      return;
    case "stopsignal":
      expand(instruction.signal);
      return;
    case "volume":
      instruction.paths.forEach((path) => void expand(path));
      return;
    case "expose":
      checkExpose(instruction, scope, context);
      return;
    default:
      return;
  }
}

/** Expands a word of the instruction and reports the variables in it that nothing sets. */
function expander(instruction: Instruction, scope: Scope, context: InstructionContext, options: WordOptions = {}) {
  return (word: string): string => {
    const { text, unmatched } = ranged(instruction, () =>
      processWord(word, scope.env, { escape: context.mark, ...options }),
    );
    for (const name of unmatched) {
      if (!scope.envKnown || scope.declared.has(name) || name.startsWith("BUILDKIT_SBOM_SCAN_")) continue;
      context.report("UndefinedVar", instruction, { var: name }, nearest(name, scope.env.keys()));
    }
    return text;
  };
}

function checkCopy(
  instruction: InstructionOf<"copy" | "add">,
  scope: Scope,
  context: InstructionContext,
  expand: (word: string) => string,
): void {
  const { source, dest, chown, chmod, checksum, exclude, from, kind } = instruction;
  for (const word of [chown, chmod, checksum, dest, ...exclude]) if (word !== undefined) expand(word);
  const paths = source.paths.map(expand);
  const expandBody = expander(instruction, scope, context, { escape: "\\", skipQuotes: true });
  for (const { content, chomp, expand: wanted } of source.heredocs)
    if (wanted) expandBody(chomp ? chompHeredoc(content) : content);

  // With exceptions a directory may be ignored and a file in it not: what is copied is then not told by the name.
  if (context.ignore === undefined || context.ignore.exceptions || from) return;
  for (const path of paths) {
    if (/^https?:\/\//.test(path) || isGit(path)) continue;
    const file = posix.normalize(path).replace(/(?<=.)\/$/, "");
    const root = file === "." || file === "/";
    const ignored = root
      ? context.ignorePatterns.some((pattern) => ["*", "**", "**/*"].includes(pattern))
      : context.ignore.matches(file);
    if (ignored) context.report("CopyIgnoredFile", instruction, { command: kind === "add" ? "Add" : "Copy", file });
  }
}

function checkExpose(instruction: InstructionOf<"expose">, scope: Scope, context: InstructionContext): void {
  for (const word of instruction.ports) {
    const { words } = ranged(instruction, () => processWord(word, scope.env, { escape: context.mark }));
    for (const port of words) {
      const protocol = port.split("/")[1] ?? "";
      if (protocol !== protocol.toLowerCase()) context.report("ExposeProtoCasing", instruction, { port });
      if (port.includes(":")) context.report("ExposeInvalidFormat", instruction, { port });
    }
  }
}

/** The place is that of the instruction before, which is the one without effect. */
function checkOnce(instruction: Instruction, { report, last }: InstructionContext): void {
  const before = last.get(instruction.kind);
  if (before !== undefined) report("MultipleInstructionsDisallowed", before, { instruction: writtenName(instruction) });
  last.set(instruction.kind, instruction);
}

/** All words of one instruction see the environment before it. */
function expandPairs(instruction: InstructionOf<"env" | "label">, expand: (word: string) => string, report: Report) {
  return instruction.pairs.map(({ key, value, legacy }) => {
    if (legacy) report("LegacyKeyValueFormat", instruction, { instruction: writtenName(instruction) });
    return { key: expand(key), value: expand(value) };
  });
}

const secretWord = /(?:_|^)(?:apikey|auth|credential|credentials|key|password|pword|passwd|secret|token)(?:_|$)/i;
const harmlessWord = /(?:_|^)(?:public|file|version)(?:_|$)/i;

function checkSecret(name: string, key: string, instruction: Instruction, report: Report): void {
  if (secretWord.test(key) && !harmlessWord.test(key))
    report("SecretsUsedInArgOrEnv", instruction, { instruction: name, key });
}

function isGit(path: string): boolean {
  try {
    const git = parseGitRef(path);
    return git !== undefined && !git.indistinguishableFromLocal;
  } catch (error) {
    // A repository that is named in a contradictory way is no file either.
    if (error instanceof SlipwayError) return true;
    throw error;
  }
}

function ranged<T>(instruction: Instruction, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof SlipwayError) || error.range !== undefined) throw error;
    throw new SlipwayError(error.code, error.message, { cause: error, range: instruction.range });
  }
}
