import type { Digest } from "../../../oci/digest.ts";
import type { Platform } from "../../../oci/platform.ts";
import { type CacheConfig, INLINE_CACHE } from "../../../solve/cacheFormat.ts";
import { importCache } from "../../../solve/importCache.ts";
import type { SolveContext } from "../../../solve/SolveContext.ts";
import type { Engine } from "../../Engine.ts";
import type { Vertices } from "../vertices.ts";
import type { CacheExport, CacheImport } from "./CacheSpec.ts";
import { cacheSource } from "./cacheSources.ts";
import {
  type CacheTarget,
  collectCache,
  exportCache,
  inlineCache,
  localTarget,
  registryTarget,
} from "./exportCache.ts";

/** The caches that one build takes from and gives to, beside the store's. */
export interface BuildCaches {
  /** For the solver. */
  context: Pick<SolveContext, "imported" | "collect">;
  /** What an inline cache adds to the config of the image with these layers; nothing where none was asked for. */
  inline(layers: readonly Digest[]): { [INLINE_CACHE]?: CacheConfig };
  /** Writes the others, one after the other. A failure is a warning where that was asked for. */
  save(layers: readonly Digest[]): Promise<void>;
}

export function buildCaches(
  engine: Engine,
  { from, to }: { from: readonly CacheImport[]; to: readonly CacheExport[] },
  { context, vertices, platforms }: { context: SolveContext; vertices: Vertices; platforms: readonly Platform[] },
): BuildCaches {
  const { epoch, lease } = context;
  const epochGiven = epoch === undefined ? {} : { epoch };
  const warn = (message: string): void => engine.emit({ type: "warning", message });
  const { store, signal } = engine;
  const internal = vertices.internal;
  const imported =
    from.length === 0
      ? undefined
      : importCache(
          from.flatMap((spec) => platforms.map((platform) => cacheSource(engine, spec, platform))),
          { store, lease, signal, internal, warn, ...epochGiven },
        );
  const collected = collectCache();
  return {
    context: {
      ...(imported === undefined ? {} : { imported }),
      ...(to.length === 0 ? {} : { collect: collected }),
    },
    inline: (target) =>
      to.some(({ type }) => type === "inline") ? { [INLINE_CACHE]: inlineCache({ collected, target, epoch }) } : {},
    async save(target) {
      for (const spec of to) {
        if (spec.type === "inline") continue;
        try {
          await internal(`exporting cache to ${spec.type === "local" ? spec.dest : spec.ref}`, async (status) => {
            const opened = openTarget(engine, spec);
            try {
              await exportCache(engine, opened, {
                collected,
                target,
                imported,
                mode: spec.mode,
                form: spec.form,
                mounts: spec.mounts,
                epoch,
                status,
              });
            } finally {
              opened.close();
            }
          });
        } catch (error) {
          signal.throwIfAborted();
          if (!spec.ignoreError) throw error;
          warn(`the cache was not exported: ${(error as Error).message}`);
        }
      }
    },
  };
}

function openTarget(engine: Engine, spec: Exclude<CacheExport, { type: "inline" }>): CacheTarget {
  if (spec.type === "local") return localTarget(engine, spec.dest, spec.tag);
  return registryTarget(engine, spec.ref);
}
