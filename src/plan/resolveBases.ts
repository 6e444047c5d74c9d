import { parseInstruction } from "../dockerfile/parseInstruction.ts";
import type { Platform } from "../oci/platform.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import type { ResolveImage } from "./graph.ts";
import { findNamedContext } from "./namedContexts.ts";
import { addStep, type PlanContext, stepBase } from "./PlanContext.ts";
import type { NamedContext } from "./PlanOptions.ts";
import { inherit, reachableFrom, type StageState } from "./StageState.ts";
import { linkCommand, refuseCircles } from "./stages.ts";
import { numbered } from "./stepName.ts";

/**
 * Resolves, in parallel, the images that the target needs and no others, and puts their ONBUILD triggers in front of the stages' own
 * instructions. Triggers can name further images, so this goes on until nothing new is needed. Returns the stages that the target needs.
 */
export async function resolveBases(
  context: PlanContext,
  target: StageState,
  resolveImage: ResolveImage,
): Promise<Set<StageState>> {
  for (;;) {
    const needed = reachableFrom(target);
    const open = context.states.filter((state) => needed.has(state) && state.base === undefined && !state.resolved);
    const finish = await Promise.all(open.map((state) => resolveBase(context, state, resolveImage)));
    // Steps are numbered in the file's order, whichever answer came first.
    for (const take of finish) take();
    let grown = false;
    for (const state of context.states.slice()) if (needed.has(state)) grown = readTriggers(context, state) || grown;
    if (!grown) return needed;
    refuseCircles(context.states);
  }
}

async function resolveBase(context: PlanContext, state: StageState, resolveImage: ResolveImage): Promise<() => void> {
  state.resolved = true;
  const platform = state.platform ?? context.targetPlatform;
  const replaced: NamedContext = state.namedContext ??
    findNamedContext(context.options, state.baseName) ?? { type: "image", reference: state.baseName };
  if (replaced.type === "image" && replaced.reference === "scratch")
    return () => {
      state.platform = context.targetPlatform;
      state.imagePlatform = context.targetPlatform;
      state.os = context.targetPlatform.os;
      state.config = { WorkingDir: "/", Env: [`PATH=${defaultPath}`] };
      state.dispatched = state.implicit || state.namedContext !== undefined;
    };
  // A context that has a stage's name takes the stage's place, instructions and all.
  state.dispatched = state.implicit || state.namedContext !== undefined;
  if (replaced.type === "tree")
    return () => {
      state.platform = platform;
      state.imagePlatform = platform;
      state.os = platform.os;
      state.config = { WorkingDir: "/", Env: [`PATH=${defaultPath}`] };
      state.step = context.contextStep(replaced.context);
    };
  const image = await resolve(state, replaced.reference, platform, resolveImage);
  return () => {
    state.platform = state.platform ?? (context.options.targetPlatform === undefined ? image.platform : platform);
    state.imagePlatform = image.platform;
    state.os = image.platform.os;
    state.config = structuredClone(image.config.config ?? {});
    state.baseHistory = image.config.history ?? [];
    if (image.config.author) state.author = image.config.author;
    const layers = image.config.rootfs.diff_ids;
    if (layers.length === 0) return;
    const text = `FROM ${image.reference}`;
    const name = state.implicit ? text : numbered(state, context, text);
    // Stages on the same image share its step, as BuildKit merges equal vertices.
    const same = context.steps.find(
      (step) => step.kind === "image" && step.name.endsWith(text) && step.imageID === image.imageID,
    );
    state.step =
      same?.id ??
      addStep(context.steps, {
        ...stepBase(state, name, { range: state.stage.from.range }),
        stage: state.implicit ? "" : state.name,
        ignoreCache: false,
        kind: "image",
        reference: image.reference,
        platform: image.platform,
        imageID: image.imageID,
        layers,
      });
  };
}

async function resolve(state: StageState, reference: string, platform: Platform, resolveImage: ResolveImage) {
  try {
    return await resolveImage(reference, platform);
  } catch (error) {
    if (!(error instanceof SlipwayError) || error.range !== undefined) throw error;
    throw new SlipwayError(error.code, error.message, {
      cause: error,
      range: state.stage.from.range,
      exitCode: error.exitCode,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    });
  }
}

/** True when the triggers need stages or images that were not needed before. */
function readTriggers(context: PlanContext, state: StageState): boolean {
  if (state.triggersRead || state.dispatched) return false;
  state.triggersRead = true;
  const { base } = state;
  const triggers =
    base === undefined
      ? (state.config.OnBuild ?? [])
      : base.stage.instructions.flatMap((instruction) =>
          instruction.kind === "onbuild" ? [instruction.expression] : [],
        );
  delete state.config.OnBuild;
  const { range } = state.stage.from;
  const commands = triggers.map((trigger) => {
    const instruction = parseInstruction(trigger, { file: context.dockerfile.file, range });
    if (instruction.kind === "from")
      throw new SlipwayError("INVALID_INSTRUCTION", "FROM is not a command type", { range });
    return linkCommand(context, instruction, true);
  });
  state.commands = [...commands, ...state.commands];
  state.stepTotal += commands.length;
  return commands.some((command) => command.sources.length > 0);
}

/** Debian's and BuildKit's search path for images that set none. */
export const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** A stage starts from what its base came to; PATH is always set. */
export function startStage(state: StageState): void {
  if (state.base !== undefined) inherit(state, state.base);
  const env = state.config.Env ?? [];
  if (state.os !== "windows" && !env.some((entry) => entry.startsWith("PATH=")))
    state.config.Env = [...env, `PATH=${defaultPath}`];
  for (const entry of state.config.Env ?? []) {
    const equals = entry.indexOf("=");
    if (equals < 0) state.env.set(entry, "");
    else state.env.set(entry.slice(0, equals), entry.slice(equals + 1));
  }
}
