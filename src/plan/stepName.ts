import type { Instruction } from "../dockerfile/instruction.ts";
import { expandForDisplay } from "./expand.ts";
import type { PlanContext } from "./PlanContext.ts";
import type { StageState } from "./StageState.ts";

/** The next `[stage 2/4] RUN …` of the stage: variables are shown with their values, but for those of `hidden`, which hold secrets. */
export function nextStepName(
  state: StageState,
  context: PlanContext,
  instruction: Instruction,
  options: { onBuild?: boolean; text?: string; keepQuotes?: boolean; hidden?: readonly string[] } = {},
): string {
  const text = options.text ?? instruction.original;
  const env = new Map(state.env);
  for (const key of options.hidden ?? []) env.set(key, "****");
  const shown = expandForDisplay(text, env, context.dockerfile.directives.escape, options.keepQuotes ?? false);
  const blank = shown.indexOf(" ");
  const named = blank < 0 ? shown.toUpperCase() : shown.slice(0, blank).toUpperCase() + shown.slice(blank);
  return numbered(state, `${options.onBuild ? "ONBUILD " : ""}${named}`);
}

/** `[stage 1/4] text`, and counts on. */
export function numbered(state: StageState, text: string): string {
  if (state.stepTotal === 0) return text;
  state.stepIndex++;
  const total = String(state.stepTotal);
  const stage = state.name === "" ? "" : `${state.name} `;
  return `[${stage}${String(state.stepIndex).padStart(total.length)}/${total}] ${text}`;
}
