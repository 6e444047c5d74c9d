import type { Dockerfile } from "../dockerfile/instruction.ts";
import type { Platform } from "../oci/platform.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { globalArgsOf, proxyEnvOf, unusedBuildArgs } from "./globalArgs.ts";
import type { Graph, ResolveImage, Step, StepID } from "./graph.ts";
import { addStep, type PlanContext } from "./PlanContext.ts";
import type { PlanOptions } from "./PlanOptions.ts";
import { planCopy } from "./planCopy.ts";
import { planMetadata } from "./planMetadata.ts";
import { planRun } from "./planRun.ts";
import { planWorkdir } from "./planWorkdir.ts";
import { resolveBases, startStage } from "./resolveBases.ts";
import type { Command, StageState } from "./StageState.ts";
import { linkStages, targetState } from "./stages.ts";
import { stepInputs } from "./stepInputs.ts";

export type { NamedContext, PlanOptions } from "./PlanOptions.ts";

/**
 * Turns a Dockerfile into the graph of what its target needs, as BuildKit's frontend does: same scopes, same config, same history texts.
 * Touches no file, clock or network; images are asked of `resolveImage`, all at once, and only those that the target needs.
 * @throws SlipwayError with the range of the instruction at fault
 */
export async function planBuild(
  dockerfile: Dockerfile,
  options: PlanOptions,
  resolveImage: ResolveImage,
): Promise<Graph> {
  const { context, target } = await planStages(dockerfile, options, resolveImage);
  const labels = options.labels ?? {};
  if (Object.keys(labels).length > 0) target.config.Labels = { ...target.config.Labels, ...labels };
  return {
    steps: neededSteps(context.steps, target.step),
    target: {
      step: target.step,
      platform: imagePlatform(context, target),
      config: target.config,
      ...(target.author === undefined ? {} : { author: target.author }),
      baseHistory: target.baseHistory,
      history: target.history,
    },
    unusedBuildArgs: unusedBuildArgs(
      context.buildArgs,
      context.globalArgs,
      context.states.flatMap(({ commands }) => commands),
    ),
    targetName: target.stage.name || String(context.states.indexOf(target)),
  };
}

/** Every stage that the target needs, planned; those are in `needed`. */
export async function planStages(
  dockerfile: Dockerfile,
  options: PlanOptions,
  resolveImage: ResolveImage,
): Promise<{ context: PlanContext; target: StageState; needed: Set<StageState> }> {
  const context = createContext(dockerfile, options);
  linkStages(context);
  const target = targetState(context);
  const needed = await resolveBases(context, target, resolveImage);
  for (const state of context.states) {
    if (!needed.has(state) || state.dispatched) continue;
    state.dispatched = true;
    startStage(state);
    for (const command of state.commands) planCommand(state, context, command);
  }
  return { context, target, needed };
}

function createContext(dockerfile: Dockerfile, options: PlanOptions): PlanContext {
  const buildArgs = new Map<string, string>();
  for (const [key, value] of Object.entries(options.buildArgs ?? {}))
    if (value !== undefined) buildArgs.set(key, value);
  const targetPlatform = options.targetPlatform ?? options.buildPlatform;
  const steps: Step[] = [];
  const contexts = new Map<string, StepID>();
  return {
    dockerfile,
    options,
    targetPlatform,
    globalArgs: globalArgsOf(dockerfile, options, buildArgs, targetPlatform),
    buildArgs,
    proxyEnv: proxyEnvOf(buildArgs),
    states: [],
    byName: new Map(),
    steps,
    contextStep(name) {
      let id = contexts.get(name);
      if (id === undefined) {
        const text = name === "context" ? "[internal] load build context" : `[context ${name}] load from client`;
        id = addStep(steps, { kind: "context", context: name, name: text, stage: "", ignoreCache: false });
        contexts.set(name, id);
      }
      return id;
    },
  };
}

function planCommand(state: StageState, context: PlanContext, command: Command): void {
  const { instruction } = command;
  try {
    switch (instruction.kind) {
      case "from":
        return;
      case "run":
        refuseLaterStages(state, command);
        planRun(state, context, command, instruction);
        return;
      case "copy":
      case "add":
        refuseLaterStages(state, command);
        planCopy(state, context, command, instruction);
        return;
      case "workdir":
        planWorkdir(state, context, command, instruction);
        return;
      default:
        planMetadata(state, context, instruction);
        return;
    }
  } catch (error) {
    if (!(error instanceof SlipwayError) || error.range !== undefined) throw error;
    throw new SlipwayError(error.code, error.message, {
      cause: error,
      range: instruction.range,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    });
  }
}

/** Stages are planned in the file's order, so a stage below is not there yet. */
function refuseLaterStages(state: StageState, { sources }: Command): void {
  for (const source of sources) {
    if (source === undefined || source.dispatched) continue;
    throw new SlipwayError(
      "INVALID_INSTRUCTION",
      `cannot copy from stage ${JSON.stringify(source.name)}, it needs to be defined before current stage ${JSON.stringify(state.name)}`,
    );
  }
}

/** What `--platform` asked for, else what the base image says. */
function imagePlatform(context: PlanContext, target: StageState): Platform {
  const asked = context.options.targetPlatform;
  const base = target.imagePlatform;
  if (asked === undefined) return base ?? context.targetPlatform;
  if (asked.variant !== undefined || base?.variant === undefined) return asked;
  const same = asked.os === base.os && asked.architecture === base.architecture;
  return same ? { ...asked, variant: base.variant } : asked;
}

function neededSteps(steps: readonly Step[], target: StepID | undefined): Step[] {
  const byID = new Map(steps.map((step) => [step.id, step]));
  const needed = new Set<StepID>();
  const open = target === undefined ? [] : [target];
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    const step = byID.get(id);
    if (step === undefined || needed.has(id)) continue;
    needed.add(id);
    open.push(...stepInputs(step));
  }
  return steps.filter((step) => needed.has(step.id));
}
