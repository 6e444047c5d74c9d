import { formatPlatform, normalizePlatform, type Platform } from "../../oci/platform.ts";
import { parseReference } from "../../oci/reference.ts";
import { SlipwayError, type SourceRange } from "../../oci/SlipwayError.ts";
import { readFromPlatform } from "../fromPlatform.ts";
import { createIgnoreMatcher } from "../ignore.ts";
import type { Dockerfile, Instruction, Stage } from "../instruction.ts";
import { nearest } from "../nearest.ts";
import { parseInstruction } from "../parseInstruction.ts";
import { predefinedArgs } from "../predefinedArgs.ts";
import { type WordResult, processWord } from "../words.ts";
import type { CheckInfo } from "./CheckInfo.ts";
import { checkInstruction, type Scope } from "./checkInstruction.ts";
import type { Report } from "./violations.ts";

interface StageState {
  stage: Stage;
  /** FROM's word, expanded. */
  baseName: string;
  base: StageState | undefined;
  platform: Platform | undefined;
  replaced: boolean;
  scope: Scope | undefined;
}

// What BuildKit gives a process whose image sets no PATH.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * The rules that need expansion, base images or the ignore file, in the order in which a build would come upon them.
 * @throws SlipwayError what a build would stop at: a word that cannot be expanded, a platform that is none
 */
export function checkStages(dockerfile: Dockerfile, info: CheckInfo, report: Report): void {
  const targetPlatform = info.targetPlatform ?? info.buildPlatform;
  const args = globalArgs(dockerfile, info, targetPlatform, report);
  const states = linkStages(dockerfile, info, args, report);
  const needed = info.allStages ? new Set(states) : neededStates(states, info.target);
  const ignore = info.ignorePatterns?.length ? createIgnoreMatcher(info.ignorePatterns) : undefined;
  for (const state of states) {
    if (!needed.has(state) || state.replaced) continue;
    const scope = openScope(state, info, targetPlatform, report);
    state.scope = scope;
    const triggers = triggersOf(state, info, targetPlatform);
    const last = new Map<string, Instruction>();
    for (const instruction of [...triggers, ...state.stage.instructions])
      checkInstruction(instruction, scope, {
        report,
        mark: dockerfile.directives.escape,
        buildArgs: info.buildArgs ?? new Map(),
        globalArgs: args,
        last,
        ignore,
        ignorePatterns: info.ignorePatterns ?? [],
      });
  }
}

/** ARGs before the first FROM; on the way, base names are tried with the defaults alone. */
function globalArgs(
  dockerfile: Dockerfile,
  info: CheckInfo,
  targetPlatform: Platform,
  report: Report,
): Map<string, string> {
  const { buildArgs = new Map<string, string>(), buildPlatform } = info;
  const targetStage = info.target ?? dockerfile.stages.at(-1)?.name ?? "";
  const predefined = predefinedArgs({ buildPlatform, targetPlatform, targetStage, buildArgs });
  checkDefaults(dockerfile, predefined, report);
  return withGlobalArgs(dockerfile, predefined, buildArgs);
}

function withGlobalArgs(
  dockerfile: Dockerfile,
  predefined: ReadonlyMap<string, string>,
  buildArgs: ReadonlyMap<string, string>,
): Map<string, string> {
  const args = new Map(predefined);
  for (const { args: pairs, range } of dockerfile.globalArgs) {
    for (const { key, value } of pairs) {
      const given = buildArgs.get(key);
      if (given !== undefined) args.set(key, given);
      else if (value !== undefined) args.set(key, expand(value, args, dockerfile, range).text);
    }
  }
  return args;
}

function checkDefaults(dockerfile: Dockerfile, predefined: ReadonlyMap<string, string>, report: Report): void {
  try {
    const args = withGlobalArgs(dockerfile, predefined, new Map());
    for (const { from } of dockerfile.stages) {
      if (isReference(expand(from.image, args, dockerfile, from.range).text)) continue;
      report("InvalidDefaultArgInFrom", from, { base: from.image });
    }
  } catch (error) {
    // What cannot be expanded stops the build a moment later, with the same error.
    if (!(error instanceof SlipwayError)) throw error;
  }
}

function linkStages(dockerfile: Dockerfile, info: CheckInfo, args: Map<string, string>, report: Report): StageState[] {
  const declared = new Set(args.keys());
  for (const { args: pairs } of dockerfile.globalArgs) for (const { key } of pairs) declared.add(key);
  const byName = new Map<string, StageState>();
  const states: StageState[] = [];
  for (const stage of dockerfile.stages) {
    const { from, name } = stage;
    const undeclared = ({ unmatched }: WordResult): void => {
      for (const arg of unmatched)
        if (!declared.has(arg)) report("UndefinedArgInFrom", from, { arg }, nearest(arg, declared));
    };
    const base = expand(from.image, args, dockerfile, from.range);
    undeclared(base);
    if (base.text === "")
      throw new SlipwayError("INVALID_INSTRUCTION", `base name (${from.image}) should not be blank`, {
        range: from.range,
      });
    const platform = from.platform ? fromPlatform(stage, dockerfile, args, report, undeclared) : undefined;
    const replaced = name !== "" && (info.hasNamedContext?.(name) ?? false);
    const state: StageState = {
      stage,
      baseName: base.text,
      base: replaced ? undefined : byName.get(base.text),
      platform,
      replaced,
      scope: undefined,
    };
    states.push(state);
    if (name !== "") byName.set(name, state);
  }
  return states;
}

function fromPlatform(
  { from, name }: Stage,
  dockerfile: Dockerfile,
  args: Map<string, string>,
  report: Report,
  undeclared: (result: WordResult) => void,
): Platform {
  const written = from.platform ?? "";
  const result = expand(written, args, dockerfile, from.range);
  undeclared(result);
  const { text, matched, unmatched } = result;
  const target = args.get("TARGETPLATFORM");
  if (matched.size === 1 && unmatched.size === 0 && matched.has("TARGETPLATFORM") && text === target)
    report("RedundantTargetPlatform", from, { platform: written });
  const platform = readFromPlatform(from, result, args);
  const { os, architecture } = platform;
  // A stage that is named after its platform says that the constant is meant.
  if (matched.size === 0 && unmatched.size === 0 && !name.includes(os) && !name.includes(architecture))
    report("FromPlatformFlagConstDisallowed", from, { platform: text });
  return platform;
}

function openScope(state: StageState, info: CheckInfo, targetPlatform: Platform, report: Report): Scope {
  const base = state.base?.scope;
  if (base !== undefined) return { ...base, env: new Map(base.env), declared: new Set(base.declared) };
  const wanted = state.platform ?? targetPlatform;
  const scope: Scope = {
    env: new Map(),
    declared: new Set(),
    envKnown: state.base === undefined,
    workdirSet: false,
    shellSet: false,
  };
  if (state.base === undefined && state.baseName !== "scratch") {
    const image = info.image?.(state.baseName, wanted);
    if (image === undefined) scope.envKnown = false;
    else {
      for (const entry of image.env) {
        const equals = entry.indexOf("=");
        scope.env.set(equals < 0 ? entry : entry.slice(0, equals), equals < 0 ? "" : entry.slice(equals + 1));
      }
      scope.shellSet = (image.shell?.length ?? 0) > 0;
      if (image.platform.os !== wanted.os || image.platform.architecture !== wanted.architecture)
        report("InvalidBaseImagePlatform", state.stage.from, {
          image: state.baseName,
          imagePlatform: formatPlatform(normalizePlatform(image.platform)),
          wantedPlatform: formatPlatform(normalizePlatform(wanted)),
        });
    }
  }
  if (!scope.env.has("PATH") && wanted.os !== "windows") scope.env.set("PATH", defaultPath);
  return scope;
}

/** ONBUILD instructions of the base, which count as written at the FROM. */
function triggersOf(state: StageState, info: CheckInfo, targetPlatform: Platform): Instruction[] {
  const { from } = state.stage;
  const texts =
    state.base === undefined
      ? (info.image?.(state.baseName, state.platform ?? targetPlatform)?.onBuild ?? [])
      : state.base.stage.instructions.flatMap((each) => (each.kind === "onbuild" ? [each.expression] : []));
  return texts.map((text) => parseInstruction(text, { range: from.range }));
}

/** The target with all that it stands on or takes files from. */
function neededStates(states: readonly StageState[], target: string | undefined): Set<StageState> {
  const find = (name: string): StageState | undefined =>
    states.findLast(({ stage }) => stage.name !== "" && stage.name === name.toLowerCase());
  const needed = new Set<StageState>();
  const open = [target ? find(target) : states.at(-1)];
  while (open.length > 0) {
    const state = open.pop();
    if (state === undefined || needed.has(state)) continue;
    needed.add(state);
    open.push(state.base);
    for (const instruction of state.stage.instructions) {
      if (instruction.kind === "copy" && instruction.from !== undefined)
        open.push(/^\d+$/.test(instruction.from) ? states[Number(instruction.from)] : find(instruction.from));
      if (instruction.kind === "run")
        for (const { from } of instruction.mounts) if (from !== undefined) open.push(find(from));
    }
  }
  return needed;
}

function expand(
  word: string,
  env: ReadonlyMap<string, string>,
  { directives }: Dockerfile,
  range: SourceRange,
): WordResult {
  try {
    return processWord(word, env, { escape: directives.escape });
  } catch (error) {
    if (!(error instanceof SlipwayError)) throw error;
    throw new SlipwayError(error.code, error.message, { cause: error, range });
  }
}

function isReference(text: string): boolean {
  try {
    parseReference(text);
    return true;
  } catch (error) {
    if (error instanceof SlipwayError) return false;
    throw error;
  }
}
