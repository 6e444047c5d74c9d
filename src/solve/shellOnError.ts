import { SlipwayError } from "../oci/SlipwayError.ts";
import type { Step } from "../plan/graph.ts";
import type { FailedPlace } from "./FailedRun.ts";
import { openNetwork } from "./openNetwork.ts";
import { openShell } from "./openShell.ts";
import { type ReusableMount, reusableMount } from "./reusableMount.ts";
import type { ResultOf, SolveContext } from "./SolveContext.ts";

/**
 * Opens a shell where the step failed: in a RUN's own root with all that it had; for other steps in the file system that they stand on.
 * A step that stands on none (a fetch) opens none. Returns when the person has left it; that it cannot be opened is told, not thrown.
 */
export async function shellOnError(
  step: Step,
  error: unknown,
  place: FailedPlace | undefined,
  context: SolveContext,
  resultOf: ResultOf,
): Promise<void> {
  if (!("base" in step) || context.shellOnError === undefined) return;
  const tell = (open: boolean, message: string): void => context.emit({ type: "shell", step, open, message });
  const { linux, lease, snapshotter, store } = context;
  const why = error instanceof Error ? error.message : String(error);
  let below: ReusableMount | undefined;
  try {
    const sandbox = await context.sandbox();
    if (place === undefined) {
      const base = await resultOf(step.base);
      if (base.kind !== "layers") return;
      const records = base.layers.map((diffID) => store.layers.require(diffID));
      const fd = snapshotter.prepare(records, lease.directory(), { volatile: true }).mount();
      below = reusableMount(linux, fd, `${lease.directory()}/root`);
    }
    const where = place === undefined ? "in the file system below it" : "in its file system as it left it";
    const { network, close } = openNetwork(step, context);
    await openShell({
      linux,
      sandbox,
      newDirectory: () => lease.directory(),
      root: (place?.root ?? below) as ReusableMount,
      process: place?.process ?? { env: [], cwd: "/", user: "" },
      mounts: place?.mounts ?? [],
      network,
      hosts: context.addHosts,
      security: step.kind === "run" ? step.security : "sandbox",
      ...context.machine,
      terminal: context.shellOnError,
      signal: context.signal,
      opening: (shell) => tell(true, `${step.name} failed: ${why}\n${shell} ${where}`),
    }).finally(close);
    tell(false, "");
  } catch (failure) {
    const hint = failure instanceof SlipwayError && failure.hint !== undefined ? `. ${failure.hint}` : "";
    tell(false, `no shell: ${failure instanceof Error ? failure.message : String(failure)}${hint}`);
  } finally {
    below?.close();
  }
}
