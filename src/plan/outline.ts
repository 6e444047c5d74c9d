import { docComment } from "../dockerfile/docComment.ts";
import type { Dockerfile, InstructionOf } from "../dockerfile/instruction.ts";
import { processWord } from "../dockerfile/words.ts";
import type { SourceRange } from "../oci/SlipwayError.ts";
import type { ResolveImage } from "./graph.ts";
import type { PlanContext } from "./PlanContext.ts";
import type { PlanOptions } from "./PlanOptions.ts";
import { planStages } from "./plan.ts";
import type { StageState } from "./StageState.ts";

export interface OutlineArg {
  name: string;
  /** The default or the build argument, expanded. */
  value?: string;
  description?: string;
  range: SourceRange;
}

export interface OutlineMount {
  name: string;
  required: boolean;
  range: SourceRange;
}

/** What a build of a target can be given (BuildKit's subrequest `frontend.outline`), each list in the file's order. */
export interface Outline {
  /** "" where the target has no name. */
  name: string;
  description?: string;
  args: OutlineArg[];
  secrets: OutlineMount[];
  ssh: OutlineMount[];
}

/** One stage that can be a target (`frontend.targets`). */
export interface Target {
  name: string;
  default: boolean;
  description?: string;
  /** FROM's image or stage, as written. */
  base: string;
  platform?: string;
  range: SourceRange;
}

/** @throws SlipwayError as `planBuild` does */
export async function outlineBuild(
  dockerfile: Dockerfile,
  options: PlanOptions,
  resolveImage: ResolveImage,
): Promise<Outline> {
  const { context, target, needed } = await planStages(dockerfile, options, resolveImage);
  const { name, from } = target.stage;
  const { secrets, ssh } = mountsOf(context);
  return {
    name,
    ...described(from.comments, name),
    args: byLine(argsOf(context, needed)),
    secrets: byLine(secrets),
    ssh: byLine(ssh),
  };
}

export function listTargets(dockerfile: Dockerfile): Target[] {
  return dockerfile.stages.map(({ name, from }, i) => ({
    name,
    default: i === dockerfile.stages.length - 1,
    ...described(from.comments, name),
    base: from.image,
    ...(from.platform === undefined || from.platform === "" ? {} : { platform: from.platform }),
    range: from.range,
  }));
}

function argsOf(context: PlanContext, needed: ReadonlySet<StageState>): OutlineArg[] {
  const found = new Map<string, OutlineArg>();
  const globals = globalUses(context);
  const useGlobal = (key: string): void => {
    const global = globals.get(key);
    if (global === undefined || found.has(key)) return;
    found.set(key, argOf(context, global.instruction, key, context.globalArgs.get(key)));
    for (const each of global.uses) useGlobal(each);
  };
  for (const state of needed) {
    if (state.implicit) continue;
    for (const { instruction } of state.commands) {
      if (instruction.kind !== "arg") continue;
      for (const { key, value } of instruction.args) {
        // Without a value of its own it stands for the global one.
        const isGlobal = value === undefined && !context.buildArgs.has(key) && context.globalArgs.has(key);
        const final = state.args.findLast((arg) => arg.key === key)?.value;
        if (isGlobal) useGlobal(key);
        else if (!found.has(key)) found.set(key, argOf(context, instruction, key, final));
      }
    }
    const { image, platform = "" } = state.stage.from;
    for (const key of usedIn(context, `${image} ${platform}`)) useGlobal(key);
  }
  return [...found.values()];
}

function argOf(
  context: PlanContext,
  instruction: InstructionOf<"arg">,
  name: string,
  value: string | undefined,
): OutlineArg {
  return {
    name,
    ...((value ?? context.buildArgs.get(name)) === undefined
      ? {}
      : { value: value ?? context.buildArgs.get(name) ?? "" }),
    ...described(instruction.comments, name),
    range: instruction.range,
  };
}

/** The ARGs before the first FROM, each with the others that its default uses. */
function globalUses(context: PlanContext): Map<string, { instruction: InstructionOf<"arg">; uses: string[] }> {
  return new Map(
    context.dockerfile.globalArgs.flatMap((instruction) =>
      instruction.args.map(({ key, value = "" }): [string, { instruction: InstructionOf<"arg">; uses: string[] }] => [
        key,
        { instruction, uses: usedIn(context, value) },
      ]),
    ),
  );
}

function usedIn(context: PlanContext, word: string): string[] {
  return [...processWord(word, context.globalArgs, { escape: context.dockerfile.directives.escape }).matched];
}

function mountsOf(context: PlanContext): { secrets: OutlineMount[]; ssh: OutlineMount[] } {
  const secrets = new Map<string, OutlineMount>();
  const ssh = new Map<string, OutlineMount>();
  for (const step of context.steps) {
    if (step.kind !== "run" || step.range === undefined) continue;
    for (const mount of step.mounts) {
      if (mount.type !== "secret" && mount.type !== "ssh") continue;
      const list = mount.type === "secret" ? secrets : ssh;
      if (!list.has(mount.id)) list.set(mount.id, { name: mount.id, required: mount.required, range: step.range });
    }
  }
  return { secrets: [...secrets.values()], ssh: [...ssh.values()] };
}

function described(comments: readonly string[], name: string): { description?: string } {
  const description = docComment(comments, name);
  return description === undefined ? {} : { description };
}

function byLine<T extends { range: SourceRange }>(list: readonly T[]): T[] {
  return list.toSorted((a, b) => a.range.start - b.range.start);
}
