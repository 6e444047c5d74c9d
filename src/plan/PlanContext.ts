import type { Dockerfile } from "../dockerfile/instruction.ts";
import type { Platform } from "../oci/platform.ts";
import type { Step, StepBase, StepID } from "./graph.ts";
import type { PlanOptions } from "./PlanOptions.ts";
import type { StageState } from "./StageState.ts";

/** What all parts of one planning share. */
export interface PlanContext {
  dockerfile: Dockerfile;
  options: PlanOptions;
  targetPlatform: Platform;
  /** ARGs before the first FROM and the platform's, expanded. */
  globalArgs: Map<string, string>;
  /** Build arguments that have a value. */
  buildArgs: Map<string, string>;
  /** Proxy arguments as environment of every RUN, `K=V`. */
  proxyEnv: string[];
  states: StageState[];
  byName: Map<string, StageState>;
  steps: Step[];
  /** The step of a build context, made when it is first asked for. */
  contextStep(name: string): StepID;
}

// Omit over a union keeps its members apart only when it is distributed.
type Unnumbered<S extends Step> = S extends Step ? Omit<S, "id"> : never;

/** Takes the step into the graph and returns its ID. */
export function addStep(steps: Step[], step: Unnumbered<Step>): StepID {
  const id = `s${steps.length}`;
  steps.push({ id, ...step } as Step);
  return id;
}

export function stepBase(state: StageState, name: string, extra: Partial<StepBase> = {}): Omit<StepBase, "id"> {
  const platform = state.platform === undefined ? {} : { platform: state.platform };
  return { name, stage: state.name, ...platform, ignoreCache: state.ignoreCache, ...extra };
}
