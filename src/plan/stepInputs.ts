import type { Step, StepID } from "./graph.ts";

/** The steps whose results this one uses. */
export function stepInputs(step: Step): StepID[] {
  const inputs: (StepID | undefined)[] = [];
  if (step.kind === "run" || step.kind === "copy" || step.kind === "mkdir") inputs.push(step.base);
  if (step.kind === "copy") for (const item of step.items) if (item.type === "path") inputs.push(item.from);
  if (step.kind === "run")
    for (const mount of step.mounts) if (mount.type === "bind" || mount.type === "cache") inputs.push(mount.from);
  return inputs.filter((id) => id !== undefined);
}
