import type { StepID } from "./graph.ts";
import type { StageState } from "./StageState.ts";

/** A history entry of ours. `layer` is the step that made the layer, absent for what changes the config only. */
export function record(state: StageState, text: string, layer?: StepID): void {
  state.history.push({
    created_by: text,
    comment: "buildkit.dockerfile.v0",
    ...(layer === undefined ? {} : { layer }),
  });
}
