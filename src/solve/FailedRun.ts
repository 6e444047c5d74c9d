import type { SpecMount } from "../runtime/spec.ts";
import type { ReusableMount } from "./reusableMount.ts";

/** Where a RUN failed, as it left it: for a shell. Whoever has it disposes of it, once. */
export interface FailedPlace {
  root: ReusableMount;
  mounts: SpecMount[];
  process: { env: string[]; cwd: string; user: string };
  /** Ends mounts, agents and locks. */
  dispose(): void;
}

/** Thrown in place of `error` where the build opens a shell on failure: outside of the step's lock and slot, which others wait for. */
export class FailedRun extends Error {
  constructor(
    readonly error: unknown,
    readonly place: FailedPlace,
  ) {
    super("a RUN step failed");
  }
}
