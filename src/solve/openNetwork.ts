import type { Step } from "../plan/graph.ts";
import type { RunStepOptions } from "../runtime/runStep.ts";
import type { SolveContext } from "./SolveContext.ts";

/** The network of what a step runs; of one that says nothing, the build's. `close` it when the process has ended. */
export function openNetwork(step: Step, context: SolveContext): { network: RunStepOptions["network"]; close(): void } {
  const asked = step.kind === "run" && step.network !== "default" ? step.network : context.network;
  if (typeof asked === "string") return { network: asked, close: () => undefined };
  const opened = asked.open();
  return { network: opened, close: opened.close };
}
