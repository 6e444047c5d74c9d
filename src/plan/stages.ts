import type { Instruction, Stage } from "../dockerfile/instruction.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { readFromPlatform } from "../dockerfile/fromPlatform.ts";
import { expandWord, expandWordFully } from "./expand.ts";
import { findNamedContext } from "./namedContexts.ts";
import type { PlanContext } from "./PlanContext.ts";
import { type Command, createStageState, type StageState } from "./StageState.ts";
import { nearest } from "../dockerfile/nearest.ts";

/**
 * Makes the stages' states in the file's order: FROM expanded, bases and the uses of other stages linked.
 * @throws SlipwayError `INVALID_INSTRUCTION`, `CIRCULAR_DEPENDENCY`
 */
export function linkStages(context: PlanContext): void {
  const { dockerfile } = context;
  for (const [index, stage] of dockerfile.stages.entries()) addState(context, stageState(context, stage, index));
  for (const state of context.states.slice()) {
    if (state.namedContext !== undefined) continue;
    state.commands = state.stage.instructions.map((instruction) => linkCommand(context, instruction));
  }
  refuseCircles(context.states);
  const [only, ...others] = context.states;
  if (only !== undefined && others.length === 0) only.name = "";
}

/**
 * The state of `--target`, the last stage where it is not said.
 * @throws SlipwayError `TARGET_NOT_FOUND`
 */
export function targetState(context: PlanContext): StageState {
  const { target } = context.options;
  if (target === undefined || target === "") {
    const last = context.states.findLast((state) => !state.implicit);
    if (last !== undefined) return last;
    throw new SlipwayError("INVALID_INSTRUCTION", "dockerfile contains no stages to build");
  }
  const named = context.byName.get(target.toLowerCase());
  if (named !== undefined) return named;
  const near = nearest(target, context.byName.keys());
  throw new SlipwayError(
    "TARGET_NOT_FOUND",
    `target stage ${JSON.stringify(target)} could not be found`,
    near === undefined ? {} : { hint: `Did you mean ${near}?` },
  );
}

/** The instruction with the stages that it takes files from; images become states of their own. */
export function linkCommand(context: PlanContext, instruction: Instruction, onBuild = false): Command {
  const sources: (StageState | undefined)[] = [];
  if (instruction.kind === "copy" && instruction.from !== undefined && instruction.from !== "") {
    if (/\$./.test(instruction.from))
      throw new SlipwayError("INVALID_INSTRUCTION", "variable expansion is not supported for --from", {
        range: instruction.range,
        hint: "Define a stage with FROM and an ARG from the global scope, and copy from that stage.",
      });
    sources.push(sourceState(context, instruction, instruction.from, true));
  }
  if (instruction.kind === "run") {
    for (const { type, from } of instruction.mounts) {
      if (from === undefined || from === "" || (type !== "bind" && type !== "cache")) sources.push(undefined);
      else if (/\$./.test(from))
        throw new SlipwayError(
          "INVALID_INSTRUCTION",
          "'from' doesn't support variable expansion, define alias stage instead",
          { range: instruction.range },
        );
      else sources.push(sourceState(context, instruction, from, false));
    }
  }
  return { instruction, sources, onBuild };
}

/** @throws SlipwayError `CIRCULAR_DEPENDENCY` */
export function refuseCircles(states: readonly StageState[]): void {
  const done = new Set<StageState>();
  const open = new Set<StageState>();
  const visit = (state: StageState): void => {
    if (done.has(state)) return;
    open.add(state);
    for (const { instruction, sources } of state.commands) {
      for (const source of sources) {
        if (source === undefined) continue;
        if (open.has(source))
          throw new SlipwayError("CIRCULAR_DEPENDENCY", `circular dependency detected on stage: ${source.name}`, {
            range: instruction.range,
          });
        visit(source);
      }
    }
    if (state.base !== undefined) visit(state.base);
    open.delete(state);
    done.add(state);
  };
  for (const state of states) visit(state);
}

function stageState(context: PlanContext, stage: Stage, index: number): StageState {
  const { escape: mark } = context.dockerfile.directives;
  const { image, platform, range } = stage.from;
  const baseName = expandWord(image, context.globalArgs, mark, range);
  if (baseName === "")
    throw new SlipwayError("INVALID_INSTRUCTION", `base name (${image}) should not be blank`, { range });
  const state = createStageState(stage, stage.name === "" ? `stage-${index}` : stage.name, baseName);
  if (platform !== undefined && platform !== "") {
    const expanded = expandWordFully(platform, context.globalArgs, mark, range);
    state.platform = readFromPlatform(stage.from, expanded, context.globalArgs);
  }
  const named = stage.name === "" ? undefined : findNamedContext(context.options, stage.name);
  if (named !== undefined) state.namedContext = named;
  const { noCache, noCacheFilter = [] } = context.options;
  state.ignoreCache =
    (noCache ?? false) || noCacheFilter.some((name) => stage.name !== "" && name.toLowerCase() === stage.name);
  return state;
}

function addState(context: PlanContext, state: StageState): void {
  const base = state.namedContext === undefined ? context.byName.get(state.baseName) : undefined;
  if (base !== undefined) state.base = base;
  context.states.push(state);
  if (state.stage.name !== "") context.byName.set(state.stage.name, state);
  if (state.implicit || state.namedContext !== undefined) return;
  state.stepTotal = state.baseName === "scratch" || base !== undefined ? 0 : 1;
  for (const { kind } of state.stage.instructions)
    if (kind === "run" || kind === "copy" || kind === "add" || kind === "workdir") state.stepTotal++;
}

/** A stage by name or (for COPY) by number, else an image or context of that name. */
function sourceState(context: PlanContext, instruction: Instruction, from: string, numbers: boolean): StageState {
  if (numbers && /^[+-]?\d+$/.test(from)) {
    const found = context.states[Number(from)];
    if (found !== undefined) return found;
    throw new SlipwayError("INVALID_INSTRUCTION", `invalid stage index ${from}`, { range: instruction.range });
  }
  const named = context.byName.get(from.toLowerCase());
  if (named !== undefined) return named;
  const { range, original } = instruction;
  const stage: Stage = {
    from: { kind: "from", image: from, range, original, comments: [] },
    name: "",
    instructions: [],
  };
  const state = createStageState(stage, "", from);
  state.implicit = true;
  addState(context, state);
  return state;
}
