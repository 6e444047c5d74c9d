import { join } from "node:path";
import { compareLayers } from "../../layer/compareLayers.ts";
import type { ImageConfig } from "../../oci/config.ts";
import { formatFullPlatform } from "../../oci/platform.ts";
import type { BaseImage } from "../../plan/graph.ts";
import { INLINE_CACHE } from "../../solve/cacheFormat.ts";
import type { Store } from "../../store/Store.ts";
import { openScratchStore } from "../../store/scratchStore.ts";
import type { BuildWork } from "./build.ts";
import type { BuildOptions, BuildResult, Engine, Verification, VerifiedDifference } from "../Engine.ts";
import type { EngineEvent } from "../events.ts";

/** So many paths of a layer are named. */
const SHOWN = 20;

export interface TwoBuilds {
  first(options: BuildOptions, bases: BuildWork["bases"]): Promise<BuildResult>;
  /** Works with the engine that it is given. */
  again(engine: Engine, options: BuildOptions, bases: BuildWork["bases"]): Promise<BuildResult>;
}

/**
 * Builds as `first` does, then `again` in a store that has nothing but the base images of the first, and is gone afterwards: no record, no
 * fetched file and no cache mount of before is used or changed. The first build's image is the result, whatever the second comes to.
 */
export async function verifyReproducible(
  engine: Engine,
  options: BuildOptions,
  builds: TwoBuilds,
): Promise<BuildResult> {
  const lease = engine.store.lease("verify");
  try {
    const stdin = options.stdin === undefined ? undefined : once(() => spool(options, lease.directory()));
    const given: BuildOptions = { ...options, ...(stdin === undefined ? {} : { stdin: () => replay(stdin) }) };
    const bases = new Map<string, Promise<BaseImage>>();
    const result = await builds.first(given, (resolve) => (reference, platform) => {
      const key = `${reference} ${formatFullPlatform(platform)}`;
      const base = bases.get(key) ?? resolve(reference, platform);
      bases.set(key, base);
      return base;
    });

    const scratch = openScratchStore(engine.store, lease);
    try {
      const aside = { ...engine, store: scratch.store, emit: secondTime(engine) };
      const { failOnMiss: _, cacheFrom: __, cacheTo: ___, outputs: ____, ...again } = given;
      const second = await builds.again(aside, again, () => async (reference, platform) => {
        const base = await bases.get(`${reference} ${formatFullPlatform(platform)}`);
        if (base === undefined) throw new Error(`the second build asks for another base image: ${reference}`);
        scratch.borrow(base.config.rootfs.diff_ids);
        return base;
      });
      return { ...result, verification: compare(engine, result, { store: scratch.store, result: second }) };
    } finally {
      scratch.close();
    }
  } finally {
    lease.release();
  }
}

/** Its steps are told as steps of their own, after the first build's; its warnings were said. */
function secondTime({ emit }: Engine): Engine["emit"] {
  const other = <E extends { id: string }>(event: E): E => ({ ...event, id: `again ${event.id}` });
  return (event: EngineEvent) => {
    switch (event.type) {
      case "warning":
      case "debug":
        return;
      case "step.plan":
        emit({ ...event, steps: event.steps.map((step) => ({ ...other(step), name: `again: ${step.name}` })) });
        return;
      case "step.start":
        emit({ ...other(event), name: `again: ${event.name}` });
        return;
      case "step.log":
      case "step.status":
      case "step.done":
      case "step.error":
        emit(other(event));
        return;
      default:
        emit(event);
    }
  };
}

function compare(engine: Engine, first: BuildResult, second: { store: Store; result: BuildResult }): Verification {
  const times = first.epoch !== undefined;
  const [a, b] = [first.config, second.result.config];
  const made = (a.history ?? []).filter((entry) => entry.empty_layer !== true);
  const differences: VerifiedDifference[] = [];
  const count = Math.max(a.rootfs.diff_ids.length, b.rootfs.diff_ids.length);
  for (let i = 0; i < count; i++) {
    const [one, two] = [a.rootfs.diff_ids[i], b.rootfs.diff_ids[i]];
    if (one === two) continue;
    if (one === undefined || two === undefined) throw new Error("the two builds have not as many layers");
    const paths: VerifiedDifference["paths"] = [];
    let more = false;
    const { path } = engine.store.layers.require(one);
    const other = second.store.layers.require(two);
    for (const found of compareLayers(engine.store.linux, path, other.path, { times })) {
      more = paths.length === SHOWN;
      if (more) break;
      paths.push({ ...found, path: `/${found.path}` });
    }
    if (paths.length > 0) differences.push({ where: made[i]?.created_by ?? `layer ${i + 1}`, paths, more });
  }
  const config = [...configDifferences(plain(a, times), plain(b, times), "")];
  if (config.length > 0) {
    const paths = config.slice(0, SHOWN).map((path) => ({ path, what: ["value"] }));
    differences.push({ where: "config", paths, more: config.length > SHOWN });
  }
  return { times, differences };
}

/** What is compared of a config: layers are compared by what is in them, and an inline cache says what the first build has used. */
function plain(
  { rootfs: _, [INLINE_CACHE]: __, ...config }: ImageConfig & { [INLINE_CACHE]?: unknown },
  times: boolean,
) {
  if (times) return config;
  const { created: ___, history = [], ...rest } = config;
  return { ...rest, history: history.map(({ created: ____, ...entry }) => entry) };
}

function* configDifferences(a: unknown, b: unknown, at: string): Generator<string> {
  if (Bun.deepEquals(a, b, true)) return;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) {
    yield at;
    return;
  }
  for (const key of new Set([...Object.keys(a), ...Object.keys(b)]))
    yield* configDifferences(
      (a as Record<string, unknown>)[key],
      (b as Record<string, unknown>)[key],
      at === "" ? key : `${at}.${key}`,
    );
}

/** Standard input can be read but once. */
async function spool(options: BuildOptions, directory: string): Promise<string> {
  const path = join(directory, "stdin");
  await Bun.write(path, new Response(options.stdin?.() ?? null));
  return path;
}

function replay(path: () => Promise<string>): ReadableStream<Uint8Array> {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  path()
    .then((file) => Bun.file(file).stream().pipeTo(writable))
    .catch((error) => writable.abort(error).catch(() => undefined)); // whoever reads it hears of it
  return readable;
}

function once<T>(work: () => Promise<T>): () => Promise<T> {
  let result: Promise<T> | undefined;
  return () => {
    result ??= work();
    return result;
  };
}
