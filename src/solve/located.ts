import { ownerFailure } from "../layer/unmappedOwner.ts";
import type { Step } from "../plan/graph.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";

/** The error with the lines of the step that it ended, where it has none of its own. */
export function located(thrown: unknown, step: Step): unknown {
  const error = ownerFailure(thrown);
  if (!(error instanceof SlipwayError) || error.range !== undefined || step.range === undefined) return error;
  return new SlipwayError(error.code, error.message, {
    range: step.range,
    cause: error,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  });
}
