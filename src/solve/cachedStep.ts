import { SlipwayError } from "../oci/SlipwayError.ts";
import type { Step } from "../plan/graph.ts";
import { clampedKey, commitLayer } from "./commitLayer.ts";
import { explainNearest, type Miss } from "./explain/explainMiss.ts";
import { keepFileList, readFileList } from "./explain/fileList.ts";
import { type FileLists, type KeyPart, stepKey } from "./explain/key.ts";
import type { FoundStep } from "./ImportedCache.ts";
import type { LayersResult, SolveContext } from "./SolveContext.ts";

/** What a step's work says besides what it wrote. */
export interface StepOutcome {
  /** Directory (of the build's lease) that becomes the layer. */
  upper: string;
  /** False when an input changed under the work: the result serves this build and no other. */
  keep?: boolean;
}

/** Earlier runs of a step that a miss is held against. */
const COMPARED = 8;

/** A step, what it stands on, and what its key is made of. */
export interface KeyedStep {
  step: Step;
  base: LayersResult;
  parts: KeyPart[];
  /** Of the trees among the parts. */
  lists?: FileLists;
}

/**
 * Gives the layer of a step: from the cache when a record with the same key parts names a layer that is still there, by `work` otherwise.
 * `proved` is given where a part is what an imported cache claims of files: before `work` does anything, and before anything is recorded, it
 * finds the parts by the files themselves.
 * A step that another process is at work on is waited for, and its result taken.
 */
export async function cachedStep(
  context: SolveContext,
  given: KeyedStep,
  work: () => Promise<StepOutcome>,
  proved?: () => Promise<KeyPart[]>,
): Promise<LayersResult> {
  const { store, emit } = context;
  const keyed = withEpoch(given, context.epoch);
  const { step, base, parts } = keyed;
  const key = stepKey(parts);
  const result = ({ diffID, created }: FoundStep): LayersResult => ({
    kind: "layers",
    layers: [...base.layers, diffID],
    layer: diffID,
    created,
  });

  const cached = (found: FoundStep): LayersResult => {
    context.collect?.step(key, found);
    emit({ type: "start", step });
    emit({ type: "done", step, cached: true, layer: found.diffID });
    return result(found);
  };

  const hit = lookup(context, step, key) ?? (await importedStep(context, step, key));
  if (hit !== undefined) return cached(hit);

  if (proved !== undefined) return cachedStep(context, { ...given, parts: await proved() }, work);
  await context.imported?.bring(base.layers);
  return context.slots(() =>
    store.locked(`step:${key}`, async () => {
      context.signal.throwIfAborted();
      const meanwhile = lookup(context, step, key);
      if (meanwhile !== undefined) return cached(meanwhile);
      emit({ type: "start", step });
      const miss = explain(context, keyed, key);
      if (context.failOnMiss) throw missed(step, miss.reason);
      const outcome = await work();
      const { clamped, ...layer } = commitLayer(context, outcome.upper);
      if (outcome.keep !== false) {
        for (const [digest, list] of keyed.lists ?? []) keepFileList(store.root, digest, list);
        store.transaction(() => {
          store.cache.put(key, JSON.stringify({ ...layer, name: step.name }), [layer.diffID]);
          if (clamped) store.cache.put(clampedKey(layer.diffID), "", [layer.diffID]);
          store.cache.putInGroup(groupOf(context, step), key, JSON.stringify(explained(keyed)));
        });
        context.collect?.step(key, layer);
      }
      emit({ type: "done", step, cached: false, miss, layer: layer.diffID });
      return result(layer);
    }),
  );
}

/** Its layer may not be here yet: `ImportedCache.bring`. */
async function importedStep(context: SolveContext, step: Step, key: string): Promise<FoundStep | undefined> {
  if (step.ignoreCache) return undefined;
  const found = await context.imported?.step(key);
  if (found === undefined || isExpired(context, step, found.created)) return undefined;
  context.imported?.take(key, { ...found, name: step.name });
  return found;
}

function withEpoch(keyed: KeyedStep, epoch: number | undefined): KeyedStep {
  return epoch === undefined ? keyed : { ...keyed, parts: [...keyed.parts, ["SOURCE_DATE_EPOCH", String(epoch)]] };
}

function lookup(context: SolveContext, step: Step, key: string): FoundStep | undefined {
  if (step.ignoreCache) return undefined;
  const record = context.store.cache.get(key);
  if (record === undefined) return undefined;
  if (isExpired(context, step, record.created)) return undefined;
  const found = JSON.parse(record.value) as FoundStep;
  // Held before it is looked for, so that nobody takes it in between.
  context.lease.protect("layer", found.diffID);
  return context.store.layers.get(found.diffID) === undefined ? undefined : found;
}

function isExpired(context: SolveContext, step: Step, created: number): boolean {
  const ttl = ttlOf(context, step);
  return ttl !== undefined && created + ttl * 1000 < Date.now();
}

/** Seconds: the build's, and the step's own. */
function ttlOf({ cacheTtl }: SolveContext, step: Step): number | undefined {
  return cacheTtl === undefined ? step.cacheTtl : Math.min(cacheTtl, step.cacheTtl ?? cacheTtl);
}

function explain(context: SolveContext, keyed: KeyedStep, key: string): Miss {
  const { step } = keyed;
  const { store } = context;
  if (step.ignoreCache) return { reason: "the cache was not asked", changes: [] };
  const record = store.cache.get(key);
  if (record !== undefined && isExpired(context, step, record.created)) {
    const ttl = ttlOf(context, step);
    const reason = `the cached result is older than ${ttl} s`;
    const made = new Date(record.created).toISOString();
    return { reason, changes: [{ part: "ttl", old: made, new: `${ttl} s have passed` }] };
  }
  const earlier = store.cache
    .nearest(groupOf(context, step), COMPARED)
    .map(({ value }) => JSON.parse(value) as KeyPart[]);
  return explainNearest(
    explained(keyed),
    earlier,
    (digest) => keyed.lists?.get(digest)?.() ?? readFileList(store.root, digest),
  );
}

/** The parts in a person's terms, what lies below last: an image by its digest, other steps by their latest layer. */
function explained({ parts, base }: KeyedStep): KeyPart[] {
  const own = parts.filter(([name]) => name !== "base");
  if (own.length === parts.length) return own;
  const { image, layers } = base;
  return [
    ...own,
    image === undefined
      ? ["result of the step before", layers.at(-1) ?? ""]
      : [`base image ${image.reference}`, image.imageID],
  ];
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
