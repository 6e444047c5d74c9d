import type { Digest } from "../oci/digest.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import type { Step } from "../plan/graph.ts";
import { clampedKey, commitLayer } from "./commitLayer.ts";
import type { FoundStep } from "./ImportedCache.ts";
import { explainMiss, type KeyPart, stepKey } from "./key.ts";
import type { LayersResult, SolveContext } from "./SolveContext.ts";

/** What a step's work says besides what it wrote. */
export interface StepOutcome {
  /** Directory (of the build's lease) that becomes the layer. */
  upper: string;
  /** False when an input changed under the work: the result serves this build and no other. */
  keep?: boolean;
}

/**
 * Gives the layer of a step: from the cache when a record with the same key parts names a layer that is still there, by `work` otherwise.
 * `proved` is given where a part is what an imported cache claims of files: before `work` does anything, and before anything is recorded, it
 * finds the parts by the files themselves.
 * A step that another process is at work on is waited for, and its result taken.
 */
export async function cachedStep(
  context: SolveContext,
  step: Step,
  base: Digest[],
  own: KeyPart[],
  work: () => Promise<StepOutcome>,
  proved?: () => Promise<KeyPart[]>,
): Promise<LayersResult> {
  const { store, emit, epoch } = context;
  const parts: KeyPart[] = epoch === undefined ? own : [...own, ["SOURCE_DATE_EPOCH", String(epoch)]];
  const key = stepKey(parts);

  const given = ({ diffID, created }: FoundStep): LayersResult => ({
    kind: "layers",
    layers: [...base, diffID],
    layer: diffID,
    created,
  });
  const cached = (found: FoundStep): LayersResult => {
    context.collect?.step(key, found);
    emit({ type: "start", step });
    emit({ type: "done", step, cached: true });
    return given(found);
  };

  const hit = lookup(context, step, key) ?? (await importedStep(context, step, key));
  if (hit !== undefined) return cached(hit);

  if (proved !== undefined) return cachedStep(context, step, base, await proved(), work);
  await context.imported?.bring(base);
  return context.slots(() =>
    store.locked(`step:${key}`, async () => {
      context.signal.throwIfAborted();
      const meanwhile = lookup(context, step, key);
      if (meanwhile !== undefined) return cached(meanwhile);
      emit({ type: "start", step });
      const reason = explain(context, step, key, parts);
      if (context.failOnMiss) throw missed(step, reason);
      const outcome = await work();
      const { clamped, ...layer } = commitLayer(context, outcome.upper);
      if (outcome.keep !== false) {
        store.transaction(() => {
          store.cache.put(key, JSON.stringify(layer), [layer.diffID]);
          if (clamped) store.cache.put(clampedKey(layer.diffID), "", [layer.diffID]);
          store.cache.putInGroup(groupOf(context, step), key, JSON.stringify(parts));
        });
      }
      if (outcome.keep !== false) context.collect?.step(key, layer);
      emit({ type: "done", step, cached: false, reason });
      return given(layer);
    }),
  );
}

/** Its layer may not be here yet: `ImportedCache.bring`. */
async function importedStep(context: SolveContext, step: Step, key: string): Promise<FoundStep | undefined> {
  if (step.ignoreCache) return undefined;
  const found = await context.imported?.step(key);
  if (found === undefined || isExpired(step, found.created)) return undefined;
  context.imported?.take(key, found);
  return found;
}

function lookup(context: SolveContext, step: Step, key: string): FoundStep | undefined {
  if (step.ignoreCache) return undefined;
  const record = context.store.cache.get(key);
  if (record === undefined) return undefined;
  if (isExpired(step, record.created)) return undefined;
  const found = JSON.parse(record.value) as FoundStep;
  // Held before it is looked for, so that nobody takes it in between.
  context.lease.protect("layer", found.diffID);
  return context.store.layers.get(found.diffID) === undefined ? undefined : found;
}

function isExpired(step: Step, created: number): boolean {
  return step.cacheTtl !== undefined && created + step.cacheTtl * 1000 < Date.now();
}

function explain(context: SolveContext, step: Step, key: string, parts: KeyPart[]): string {
  if (step.ignoreCache) return "the cache was not asked";
  const record = context.store.cache.get(key);
  if (record !== undefined && isExpired(step, record.created))
    return `the cached result is older than ${step.cacheTtl} s`;
  const [nearest] = context.store.cache.nearest(groupOf(context, step), 1);
  return explainMiss(parts, nearest === undefined ? undefined : (JSON.parse(nearest.value) as KeyPart[]));
}

function missed(step: Step, reason: string): SlipwayError {
  return new SlipwayError("CACHE_MISS", `${step.name} is not in the cache: ${reason}`, {
    hint: "--fail-on-miss asks for a build that runs nothing.",
    ...(step.range === undefined ? {} : { range: step.range }),
  });
}

function groupOf(context: SolveContext, step: Step): string {
  return `parts:${context.project}:${step.stage}:${step.id}`;
}
