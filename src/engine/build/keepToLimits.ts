import { limitsOf } from "./cacheLimits.ts";
import type { Engine } from "../Engine.ts";

/**
 * After a build: the cache is no larger than the configuration says, but for what other builds hold at the moment, which do the same when they
 * end. Looks at nothing where the configuration says nothing. The build is done by now: what fails here is told, and does not fail it.
 */
export async function keepToLimits(engine: Engine): Promise<void> {
  const { store, emit } = engine;
  const settings = engine.config.cache ?? {};
  const { keepDuration } = settings;
  const limits = limitsOf(settings, store.root);
  if (keepDuration === undefined && Object.keys(limits).length === 0) return;
  try {
    const collector = await store.collector();
    if (keepDuration !== undefined) {
      const before = Date.now() - keepDuration;
      const { reservedSpace } = limits;
      await collector.collect({
        ...(reservedSpace === undefined ? {} : { limits: { reservedSpace } }),
        matches: (entry) => entry.used < before,
      });
    }
    if (limits.maxUsedSpace !== undefined || limits.minFreeSpace !== undefined) await collector.collect({ limits });
  } catch (error) {
    emit({ type: "warning", message: `the build cache could not be kept to its limits: ${(error as Error).message}` });
  }
}
