import type { Instruction } from "../dockerfile/instruction.ts";
import { formatFullPlatform, normalizePlatform, type Platform, parsePlatform } from "../oci/platform.ts";
import { isSlipwayError } from "../oci/SlipwayError.ts";
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
  return numbered(state, context, `${options.onBuild ? "ONBUILD " : ""}${named}`, state.env);
}

/** `[stage 1/4] text`, and counts on. Among several platforms `[linux/arm64 stage 1/4] text`; `env` may name another that the stage builds for. */
export function numbered(
  state: StageState,
  context: PlanContext,
  text: string,
  env: ReadonlyMap<string, string> = new Map(),
): string {
  if (state.stepTotal === 0) return text;
  state.stepIndex++;
  const total = String(state.stepTotal);
  const stage = state.name === "" ? "" : `${state.name} `;
  return `[${platformPrefix(state, context, env)}${stage}${String(state.stepIndex).padStart(total.length)}/${total}] ${text}`;
}

/** `linux/amd64 `, and `linux/amd64->arm64 ` where the stage has been told of another target. */
function platformPrefix(state: StageState, { options }: PlanContext, env: ReadonlyMap<string, string>): string {
  const { platform } = state;
  if (options.multiPlatform !== true || platform === undefined) return "";
  return `${formatFullPlatform(platform)}${targetSuffix(platform, targetOf(env))} `;
}

function targetSuffix(own: Platform, target: Partial<Platform> | undefined): string {
  if (target === undefined) return "";
  const full = normalizePlatform({
    ...target,
    os: target.os || own.os,
    architecture: target.architecture || own.architecture,
  });
  if (full.os !== own.os) return `->${formatFullPlatform(full)}`;
  if (full.architecture === own.architecture) return "";
  return `->${full.architecture}${full.variant === undefined ? "" : `/${full.variant}`}`;
}

/** What the TARGET… variables that the stage has asked for say. */
function targetOf(env: ReadonlyMap<string, string>): Partial<Platform> | undefined {
  const whole = env.get("TARGETPLATFORM");
  if (whole !== undefined)
    try {
      return parsePlatform(whole);
    } catch (error) {
      if (!isSlipwayError(error, "INVALID_PLATFORM")) throw error; // an ARG may have given it any value
    }
  const os = env.get("TARGETOS");
  const architecture = env.get("TARGETARCH");
  const variant = env.get("TARGETVARIANT");
  if (os === undefined && architecture === undefined && variant === undefined) return undefined;
  return {
    ...(os === undefined ? {} : { os }),
    ...(architecture === undefined ? {} : { architecture }),
    ...(variant === undefined ? {} : { variant }),
  };
}
