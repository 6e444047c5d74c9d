import type { Instruction, Stage } from "../dockerfile/instruction.ts";
import type { ContainerConfig, HistoryEntry } from "../oci/config.ts";
import type { Platform } from "../oci/platform.ts";
import type { PlannedHistory, StepID } from "./graph.ts";
import type { NamedContext } from "./PlanOptions.ts";

/** An instruction and the stages whose files it uses, at the places of its `--from` or of its mounts. */
export interface Command {
  instruction: Instruction;
  sources: (StageState | undefined)[];
  onBuild: boolean;
}

/** What is known of a stage while it is planned. An image or context that only a `--from` names is a stage of no instructions. */
export interface StageState {
  stage: Stage;
  /** Shown in step names; "" when the file has one stage only. */
  name: string;
  /** FROM's word, expanded. */
  baseName: string;
  base?: StageState;
  namedContext?: NamedContext;
  platform?: Platform;
  commands: Command[];
  /** Not written as a stage: an image named by a `--from`. */
  implicit: boolean;
  resolved: boolean;
  dispatched: boolean;
  triggersRead: boolean;
  ignoreCache: boolean;
  /** Position and count of the steps that the progress numbers. */
  stepIndex: number;
  stepTotal: number;

  step: StepID | undefined;
  config: ContainerConfig;
  os: string;
  imagePlatform?: Platform;
  author?: string;
  baseHistory: HistoryEntry[];
  history: PlannedHistory[];
  /** What words and processes see: ENV and ARG. */
  env: Map<string, string>;
  /** ARGs in order of their declaration, with the value at that time. */
  args: { key: string; value?: string }[];
  /** CMD was said in this very stage. */
  cmdSet: boolean;
}

export function createStageState(stage: Stage, name: string, baseName: string): StageState {
  return {
    stage,
    name,
    baseName,
    commands: [],
    implicit: false,
    resolved: false,
    dispatched: false,
    triggersRead: false,
    ignoreCache: false,
    stepIndex: 0,
    stepTotal: 0,
    step: undefined,
    config: {},
    os: "linux",
    baseHistory: [],
    history: [],
    env: new Map(),
    args: [],
    cmdSet: false,
  };
}

/** Takes over what the base stage came to; ONBUILD is for images that are built from it later, so it stays behind. */
export function inherit(state: StageState, base: StageState): void {
  state.step = base.step;
  state.os = base.os;
  state.config = structuredClone(base.config);
  delete state.config.OnBuild;
  state.baseHistory = base.baseHistory;
  state.history = [...base.history];
  state.env = new Map(base.env);
  state.args = [...base.args];
  if (base.platform !== undefined) state.platform = base.platform;
  if (base.imagePlatform !== undefined) state.imagePlatform = base.imagePlatform;
  if (base.author !== undefined) state.author = base.author;
}

/** Every stage that `target` stands on or copies from, itself included. */
export function reachableFrom(target: StageState): Set<StageState> {
  const found = new Set<StageState>();
  const open = [target];
  for (let state = open.pop(); state !== undefined; state = open.pop()) {
    if (found.has(state)) continue;
    found.add(state);
    if (state.base !== undefined) open.push(state.base);
    for (const command of state.commands) for (const source of command.sources) if (source) open.push(source);
  }
  return found;
}
