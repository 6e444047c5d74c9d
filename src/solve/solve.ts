import type { Step, StepID } from "../plan/graph.ts";
import { FailedRun } from "./FailedRun.ts";
import { LayersMissing } from "./ImportedCache.ts";
import type { LayersResult, ResultOf, SolveContext, SolveEvent, StepResult, TreeResult } from "./SolveContext.ts";
import { createTreeDigester } from "./tree/treeDigest.ts";

/** What is to be solved: steps in an order in which each comes after what it uses. */
export interface Problem {
  steps: readonly Step[];
  /** `undefined`: an empty file system. */
  targets: readonly (StepID | undefined)[];
}

export interface Solved {
  /** The targets' file systems; no layers for `FROM scratch` with nothing in it. */
  targets: LayersResult[];
  /** Results of the steps that made a layer, for the history. */
  results: Map<StepID, StepResult>;
}

/**
 * Brings every step of the graph to its result, independent ones at the same time. The first failure stops the rest: when this throws,
 * no step is at work any more. Trees are closed in the end. Where an imported cache does not give what it promised, the graph is solved
 * again without that promise.
 */
export async function solve(problem: Problem, context: SolveContext): Promise<Solved> {
  const trees = new Map<StepID, TreeResult>();
  const emit = createNews(context.emit);
  try {
    for (;;) {
      try {
        const solved = await attempt(problem, { ...context, emit }, trees);
        for (const { layers } of solved.targets) await context.imported?.bring(layers);
        return solved;
      } catch (error) {
        if (context.signal.aborted || context.imported?.refuse(error) !== true) throw error;
      }
    }
  } finally {
    for (const { tree } of trees.values()) tree.close();
  }
}

/** Leaves out what was told before: that a step is cached which has come to its end in an earlier attempt. */
function createNews(emit: SolveContext["emit"]): SolveContext["emit"] {
  const ended = new Set<StepID>();
  const held = new Map<StepID, SolveEvent>();
  return (event) => {
    const { id } = event.step;
    if (event.type === "start" && ended.has(id)) {
      held.set(id, event);
      return;
    }
    const start = held.get(id);
    held.delete(id);
    if (event.type === "done") {
      if (start !== undefined && event.cached) return;
      ended.add(id);
    }
    if (start !== undefined) emit(start);
    emit(event);
  };
}

/** `trees`: those that are open, of earlier attempts too. */
async function attempt(
  { steps, targets }: Problem,
  context: SolveContext,
  trees: Map<StepID, TreeResult>,
): Promise<Solved> {
  const stop = new AbortController();
  const inner: SolveContext = { ...context, signal: AbortSignal.any([context.signal, stop.signal]) };
  const byId = new Map(steps.map((step) => [step.id, step]));
  const running = new Map<StepID, Promise<StepResult>>();
  const empty: LayersResult = { kind: "layers", layers: [] };
  let failed: unknown;

  const resultOf: ResultOf = (id) => {
    if (id === undefined) return Promise.resolve(empty);
    let promise = running.get(id);
    if (promise === undefined) {
      const step = byId.get(id);
      if (step === undefined) throw new Error(`the graph has no step ${id}`);
      promise = guarded(step);
      running.set(id, promise);
    }
    return promise;
  };

  async function guarded(step: Step): Promise<StepResult> {
    try {
      const result = trees.get(step.id) ?? (await perform(step, inner, resultOf));
      if (result.kind === "tree") trees.set(step.id, result);
      return result;
    } catch (thrown) {
      const { error, place } = thrown instanceof FailedRun ? thrown : { error: thrown, place: undefined };
      try {
        // What fails after the first failure was canceled by it, or waited for it.
        if (failed !== undefined) throw error;
        failed = error;
        stop.abort(error);
        if (error instanceof LayersMissing) throw error; // solved again, unless nothing can be had without them
        context.emit({ type: "error", step, error, canceled: context.signal.aborted });
        if (context.shellOnError !== undefined && !context.signal.aborted)
          await (await import("./shellOnError.ts")).shellOnError(step, error, place, context, resultOf);
        throw error;
      } finally {
        place?.dispose();
      }
    }
  }

  const settled = await Promise.allSettled(steps.map((step) => resultOf(step.id)));
  context.signal.throwIfAborted();
  if (failed !== undefined) throw failed;
  const results = new Map<StepID, StepResult>();
  for (const [i, step] of steps.entries()) {
    results.set(step.id, (settled[i] as PromiseFulfilledResult<StepResult>).value);
  }
  const found = targets.map((id) => {
    const target = id === undefined ? empty : results.get(id);
    if (target?.kind !== "layers") throw new Error("the target of a build is a file system");
    return target;
  });
  return { targets: found, results };
}

async function perform(step: Step, context: SolveContext, resultOf: ResultOf): Promise<StepResult> {
  switch (step.kind) {
    case "image":
      context.emit({ type: "start", step });
      for (const layer of step.layers) context.lease.protect("layer", layer);
      context.emit({ type: "done", step, cached: true });
      return {
        kind: "layers",
        layers: step.layers,
        image: { reference: step.reference, imageID: step.imageID },
      };
    case "context": {
      const tree = await context.openContext(step.context);
      return { kind: "tree", tree, digester: createTreeDigester(context.linux, tree) };
    }
    case "run":
      return (await import("./steps/run.ts")).run(step, context, resultOf);
    case "copy":
      return (await import("./steps/copy.ts")).copy(step, context, resultOf);
    case "mkdir":
      return (await import("./steps/mkdir.ts")).mkdir(step, context, resultOf);
    case "http":
      return (await import("./steps/http.ts")).http(step, context);
    case "git":
      return (await import("./steps/git.ts")).git(step, context);
  }
}
