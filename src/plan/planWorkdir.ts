import type { InstructionOf } from "../dockerfile/instruction.ts";
import { expandWord } from "./expand.ts";
import { record } from "./history.ts";
import { addStep, type PlanContext, stepBase } from "./PlanContext.ts";
import { resolveWorkdir } from "./paths.ts";
import type { Command, StageState } from "./StageState.ts";
import { nextStepName } from "./stepName.ts";

/** WORKDIR: a step that makes the directory; the root is there already, so it has no layer. */
export function planWorkdir(
  state: StageState,
  context: PlanContext,
  command: Command,
  instruction: InstructionOf<"workdir">,
): void {
  const word = expandWord(instruction.path, state.env, context.dockerfile.directives.escape, instruction.range);
  const path = resolveWorkdir(state.config.WorkingDir || "/", word);
  state.config.WorkingDir = path;
  if (path === "/") {
    record(state, "WORKDIR /");
    return;
  }
  const name = nextStepName(state, context, instruction, { onBuild: command.onBuild });
  state.step = addStep(context.steps, {
    ...stepBase(state, name, { range: instruction.range }),
    kind: "mkdir",
    base: state.step,
    path,
    user: state.config.User ?? "",
  });
  record(state, `WORKDIR ${path}`, state.step);
}
