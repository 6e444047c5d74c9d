import { readFileSync, statSync } from "node:fs";
import type { Dockerfile } from "../../dockerfile/instruction.ts";
import { parseDockerfile } from "../../dockerfile/parseDockerfile.ts";
import type { HistoryEntry, ImageConfig } from "../../oci/config.ts";
import type { Digest } from "../../oci/digest.ts";
import { familiarName, parseReference } from "../../oci/reference.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import type { Platform } from "../../oci/platform.ts";
import type { BuildCaches } from "./cache/buildCaches.ts";
import { parseBool } from "../../dockerfile/parseBool.ts";
import type { Graph, ImageStep, ResolveImage, Step, StepID } from "../../plan/graph.ts";
import { mergeGraphs } from "../../plan/mergeGraphs.ts";
import { planBuild } from "../../plan/plan.ts";
import { worksByChroot } from "../../runtime/isolation.ts";
import { parseUlimits } from "../../runtime/rlimits.ts";
import { createSshAgents } from "../../runtime/sshAgents.ts";
import { createSemaphore } from "../../solve/semaphore.ts";
import type { Sandbox, SecretSource, SolveContext, LayersResult, StepResult } from "../../solve/SolveContext.ts";
import { solve } from "../../solve/solve.ts";
import { createBaseResolver, quiet } from "./baseImages.ts";
import { openContexts } from "./contexts/buildContexts.ts";
import { type BuildRecorder, startBuildRecord } from "./buildRecords.ts";
import { buildViolations } from "./buildViolations.ts";
import type { Lease } from "../../store/Store.ts";
import type { BuildOptions, BuildResult, Engine } from "../Engine.ts";
import { type BuiltImage, checkOutputs, exportResult, ownImage } from "./outputs/exportResult.ts";
import { defaultForm, type OutputSpec, takesRemoteLayers } from "./outputs/OutputSpec.ts";
import { askedPlatform, planOptions } from "./planOptions.ts";
import { sourceDateEpoch } from "./sourceDateEpoch.ts";
import { createVertices, type Vertices } from "./vertices.ts";

/**
 * Builds an image as BuildKit's Dockerfile frontend says: plans what the target needs, brings each step to its layer (from the cache where
 * nothing has changed), writes config and history, and names the result. Nothing is recorded of a build that fails, but for the steps
 * that came to their end.
 */
export async function build(engine: Engine, options: BuildOptions): Promise<BuildResult> {
  const tags = options.tags.map((tag) => parseReference(tag).canonical);
  const recorder = startBuildRecord(engine, {
    context: options.context,
    dockerfile: options.file ?? "Dockerfile",
    ...(options.target === undefined ? {} : { target: options.target }),
    tags,
  });
  const recorded: Engine = {
    ...engine,
    emit: (event) => {
      recorder.event(event);
      engine.emit(event);
    },
  };
  const sandbox = once(() => openSandbox(engine));
  const first = async (given: BuildOptions, bases: BuildWork["bases"]): Promise<BuildResult> => {
    try {
      const result = await buildImage(recorded, given, { tags, sandbox, bases, recorder });
      recorder.finish({ imageID: result.imageID });
      // buildx: builder, node, and the build's own name.
      return { ...result, metadata: { ...result.metadata, "buildx.build.ref": `default/default/${recorder.id}` } };
    } catch (error) {
      if (!engine.signal.aborted) engine.beginAnew?.(); // perhaps it fails for want of the namespace alone
      recorder.finish({ error, canceled: engine.signal.aborted });
      throw error;
    }
  };
  try {
    if (options.verifyReproducible === true && options.platforms !== undefined)
      throw new SlipwayError("USAGE", "--verify-reproducible takes one platform at a time");
    if (options.verifyReproducible !== true) return await first(options, (resolve) => resolve);
    const { verifyReproducible } = await import("./verifyReproducible.ts");
    return await verifyReproducible(engine, options, {
      first,
      again: (scratch, given, bases) => buildImage(scratch, given, { tags: [], sandbox, bases }),
    });
  } finally {
    if (engine.config.cache !== undefined) await (await import("./keepToLimits.ts")).keepToLimits(engine);
  }
}

/** What a build shares with its repetition, if there is to be one. */
export interface BuildWork {
  tags: string[];
  sandbox: () => Promise<Sandbox>;
  /** Stands between the planner and the resolver of base images. */
  bases: (resolve: ResolveImage) => ResolveImage;
  /** Hears of the graph; the repetition is not recorded. */
  recorder?: Pick<BuildRecorder, "graph">;
}

async function buildImage(
  engine: Engine,
  options: BuildOptions,
  { tags, sandbox, bases, recorder }: BuildWork,
): Promise<BuildResult> {
  const { store, signal } = engine;
  const vertices = createVertices(engine.emit);
  const lease = store.lease("build");
  const ssh = createSshAgents(options.ssh ?? [], () => lease.directory());
  const endReuse = store.snapshotter.reuse();
  try {
    const contexts = await openContexts(engine, options, { lease, vertices });
    const source = contexts.dockerfile;
    const outputs: OutputSpec[] = options.outputs ?? [{ type: "image", names: tags, form: defaultForm() }];
    // What only goes to a registry that has the base needs none of the base's bytes here.
    const remote = mayLeaveBases(options, outputs)
      ? (await import("./remoteBases.ts")).createRemoteBases(engine, {
          lease,
          pulling: (reference, why, work) =>
            vertices.internal(`[internal] pull ${reference}`, (status) => work(quiet(engine, status)), why),
        })
      : undefined;
    const dockerfile = parseDockerfile(source.text, { file: source.name });
    const resolveImage = bases(
      createBaseResolver(engine, options, {
        vertices,
        lease,
        layouts: contexts.layouts,
        ...(remote === undefined ? {} : { remote }),
      }),
    );
    const asked = planOptions(options, contexts);
    const { epoch, text } = await sourceDateEpoch(dockerfile, asked, {
      resolveImage,
      contextTime: contexts.made,
      sourceTime: async (step) => {
        const fetching = { store, linux: store.linux, lease, signal, emit: vertices.solving };
        const { made } = await (step.kind === "git"
          ? (await import("../../solve/steps/git.ts")).git(step, fetching)
          : (await import("../../solve/steps/http.ts")).http(step, fetching));
        return made;
      },
    });
    const buildArgs = text === undefined ? options.buildArgs : { ...options.buildArgs, SOURCE_DATE_EPOCH: text };
    // What `asked` was asked for is the first platform's.
    const planned = await Promise.all(
      (options.platforms ?? [options.platform]).map((platform) =>
        planBuild(dockerfile, { ...asked, ...askedPlatform(platform), buildArgs }, resolveImage),
      ),
    );
    const { steps, graphs } = mergeGraphs(planned);
    const [graph] = graphs as [Graph];
    // Base images are in the store by now, or known, so that what they set is.
    const warnings = buildViolations(engine, options, {
      dockerfile,
      file: source.name,
      ignorePatterns: contexts.ignore.patterns,
      allStages: false,
      named: contexts.named,
      ...(remote === undefined ? {} : { remote: remote.config }),
    });
    recorder?.graph(steps);
    vertices.plan(steps);
    tellAside(engine, options, { graph, dockerfile, epoch });
    checkEntitlements(steps, options);
    checkOutputs(
      outputs,
      graphs.map(({ target }) => target.platform),
    );

    const hostname = options.buildArgs.BUILDKIT_SANDBOX_HOSTNAME;
    const context: SolveContext = {
      store,
      linux: store.linux,
      snapshotter: store.snapshotter,
      lease,
      signal,
      emit: (event) => vertices.solving(event),
      slots: createSemaphore(options.jobs ?? navigator.hardwareConcurrency),
      fetchLayers: async (layers, why) => remote?.fetch(layers, why),
      openContext: contexts.open,
      failOnMiss: options.failOnMiss ?? false,
      ...(options.cacheTtl === undefined ? {} : { cacheTtl: options.cacheTtl }),
      ...(options.shellOnError === undefined ? {} : { shellOnError: options.shellOnError }),
      secrets: secretSources(options),
      ssh,
      sandbox,
      addHosts: options.addHosts,
      project: contexts.project,
      ...(epoch === undefined ? {} : { epoch }),
      network: await networkOf(engine, options.network),
      machine: {
        rlimits: parseUlimits(options.ulimits ?? []),
        ...(options.shmSize === undefined ? {} : { shmSize: options.shmSize }),
        ...(hostname === undefined || hostname === "" ? {} : { hostname }),
      },
    };
    const caches = await openCaches(engine, options, {
      context,
      vertices,
      platforms: graphs.map(({ target }) => target.platform),
    });
    const targets = graphs.map(({ target }) => target.step);
    const solved = await solve({ steps, targets }, { ...context, ...caches?.context });
    contexts.save();

    const images: BuiltImage[] = [];
    for (const [i, each] of graphs.entries()) {
      const { layers } = solved.targets[i] as LayersResult;
      const assembled = {
        ...assembleConfig(each, layers, solved.results, epoch),
        ...caches?.inline(layers),
      };
      const config = options.squash === true ? await squashed(engine, each, assembled, lease) : assembled;
      images.push({ config, platform: each.target.platform });
    }
    const dated = epoch === undefined ? {} : { epoch };
    const result = { images, tags, ...dated };
    const { imageID, stored, metadata } = await exportResult(engine, result, {
      outputs,
      vertices,
      lease,
      ...(remote === undefined ? {} : { remote }),
    });
    await caches?.save(solved.targets.flatMap(({ layers }) => layers));
    return {
      imageID,
      tags: stored ? tags.map(familiarName) : [],
      warnings,
      stored,
      metadata,
      config: ownImage(images).config,
      ...dated,
    };
  } finally {
    ssh.close();
    endReuse();
    lease.release();
    store.cache.recordUses();
  }
}

/** What the target adds to its base image in one layer. */
async function squashed(engine: Engine, graph: Graph, config: ImageConfig, lease: Lease): Promise<ImageConfig> {
  const [{ squashConfig }, { sha256 }, { serializeConfig }] = await Promise.all([
    import("./outputs/squashLayers.ts"),
    import("../../oci/digest.ts"),
    import("../../store/putImage.ts"),
  ]);
  const { diff_ids } = config.rootfs;
  const base = graph.steps
    .filter((step) => step.kind === "image" && step.layers.every((diffID, i) => diff_ids[i] === diffID))
    .reduce<ImageStep | undefined>((best, step) => {
      const image = step as ImageStep;
      return image.layers.length > (best?.layers.length ?? 0) ? image : best;
    }, undefined);
  return squashConfig(engine, config, {
    kept: base?.layers.length ?? 0,
    baseID: base?.imageID,
    imageID: sha256(serializeConfig(config)),
    lease,
  });
}

/** Whether what the build gives, and what else is made of its layers, makes do with layers of a base that are in a registry. */
function mayLeaveBases(options: BuildOptions, outputs: readonly OutputSpec[]): boolean {
  const caches = (options.cacheFrom?.length ?? 0) + (options.cacheTo?.length ?? 0);
  if (options.buildArgs.BUILDKIT_INLINE_CACHE !== undefined) return false;
  return outputs.every(takesRemoteLayers) && caches === 0 && !options.squash && !options.verifyReproducible;
}

/** What needs no networks of ours is said without them. */
async function networkOf(engine: Engine, name = "default"): Promise<SolveContext["network"]> {
  if (name === "default" || name === "none" || name === "host") return name;
  const { stepNetwork } = await import("./networkStep.ts");
  return stepNetwork(engine, name);
}

/** The build's caches beside the store's, where it asks for some. */
async function openCaches(
  engine: Engine,
  options: BuildOptions,
  work: { context: SolveContext; vertices: Vertices; platforms: Platform[] },
): Promise<BuildCaches | undefined> {
  const from = options.cacheFrom ?? [];
  const to = options.cacheTo ?? [];
  const inline = parseBool(options.buildArgs.BUILDKIT_INLINE_CACHE ?? "") === true;
  if (from.length === 0 && to.length === 0 && !inline) return undefined;
  const { buildCaches } = await import("./cache/buildCaches.ts");
  return buildCaches(
    engine,
    { from, to: inline ? [...to, { type: "inline", mode: "min", ignoreError: false, form: {} }] : to },
    work,
  );
}

/** What is worth a word and changes nothing. */
function tellAside(
  engine: Engine,
  options: BuildOptions,
  { graph, dockerfile, epoch }: { graph: Graph; dockerfile: Dockerfile; epoch: number | undefined },
): void {
  const syntax = options.buildArgs.BUILDKIT_SYNTAX ?? dockerfile.directives.syntax;
  if (syntax !== undefined && syntax !== "")
    engine.emit({ type: "debug", message: `the built-in language serves; syntax image ${syntax} is not fetched` });
  if (epoch !== undefined && epoch * 1000 > Date.now())
    engine.emit({
      type: "warning",
      message: `SOURCE_DATE_EPOCH ${epoch} is in the future: files that RUN steps write have earlier times, those of this build`,
    });
  const { unusedBuildArgs } = graph;
  if (unusedBuildArgs.length > 0)
    engine.emit({
      type: "warning",
      message: `One or more build-args [${unusedBuildArgs.join(" ")}] were not consumed`,
    });
}

/** BuildKit's rule and words. `--network host` has said yes to the host's network already. @throws SlipwayError `NOT_ALLOWED` */
function checkEntitlements(steps: readonly Step[], options: BuildOptions): void {
  const allowed = new Set(options.allow ?? []);
  if (options.network === "host") allowed.add("network.host");
  for (const step of steps) {
    if (step.kind !== "run") continue;
    const wanted = [
      ...(step.network === "host" ? ["network.host"] : []),
      ...(step.security === "insecure" ? ["security.insecure"] : []),
    ];
    for (const entitlement of wanted) {
      if (allowed.has(entitlement)) continue;
      throw new SlipwayError("NOT_ALLOWED", `${entitlement} is not allowed`, {
        hint: `The Dockerfile asks for it; if you trust it, build with --allow ${entitlement}`,
        ...(step.range === undefined ? {} : { range: step.range }),
      });
    }
  }
}

/**
 * BuildKit's config: history from the base as it is, then ours; an entry without a layer carries the time of the layer before it. With an
 * epoch (seconds), ours and the image are of that time.
 */
export function assembleConfig(
  graph: Graph,
  layers: Digest[],
  results: Map<StepID, StepResult>,
  epoch?: number,
): ImageConfig {
  const { target } = graph;
  const fixed = epoch === undefined ? undefined : new Date(epoch * 1000).toISOString().replace(".000Z", "Z"); // as Go writes it
  let created = fixed ?? latest(target.baseHistory);
  const history: HistoryEntry[] = [...target.baseHistory];
  for (const entry of target.history) {
    const result = entry.layer === undefined ? undefined : results.get(entry.layer);
    const made = result?.kind === "layers" ? result.created : undefined;
    if (made !== undefined && fixed === undefined) created = new Date(made).toISOString();
    history.push({
      ...(created === undefined ? {} : { created }),
      created_by: entry.created_by,
      ...(entry.author === undefined ? {} : { author: entry.author }),
      comment: entry.comment,
      ...(entry.layer === undefined ? { empty_layer: true } : {}),
    });
  }
  return {
    architecture: target.platform.architecture,
    ...(target.author === undefined ? {} : { author: target.author }),
    config: target.config,
    ...(created === undefined ? {} : { created }),
    history,
    os: target.platform.os,
    rootfs: { type: "layers", diff_ids: layers },
    ...(target.platform.variant === undefined ? {} : { variant: target.platform.variant }),
  };
}

/** The OCI runtime and a mount namespace of this process, once per process. */
export async function openSandbox(engine: Engine): Promise<Sandbox> {
  const { linux, settings, layers } = engine.store;
  layers.settle();
  if (worksByChroot(engine.config.isolation)) return { kind: "chroot" };
  const [{ probeRuntime }, { enterMountNamespace }] = await Promise.all([
    import("../../runtime/probe.ts"),
    import("../../runtime/MountNamespace.ts"),
  ]);
  const runtime = await probeRuntime(linux, settings, { runtime: engine.config.runtime });
  return { kind: "oci", runtime, namespace: enterMountNamespace(linux, runtime) };
}

function once<T>(work: () => Promise<T>): () => Promise<T> {
  let result: Promise<T> | undefined;
  return () => {
    result ??= work();
    return result;
  };
}

/** buildx's bound: a secret is no way to bring files into a build. */
const MAX_SECRET = 500 * 1024;

/** Looks at every source before anything runs. @throws SlipwayError `SECRET_MISSING`, `SECRET_TOO_LARGE` */
function secretSources(options: BuildOptions): Map<string, SecretSource> {
  const sources = new Map<string, SecretSource>();
  for (const { id, source = id, env, inKey = false } of options.secrets) {
    if (env === undefined) {
      const file = statSync(source, { throwIfNoEntry: false });
      if (file?.isDirectory() !== false)
        throw new SlipwayError("SECRET_MISSING", `secret ${id}: cannot read ${source}`);
      if (file.size > MAX_SECRET)
        throw new SlipwayError("SECRET_TOO_LARGE", `secret ${id}: ${source} is larger than 500 KiB`);
    } else if (process.env[env] === undefined)
      throw new SlipwayError("SECRET_MISSING", `secret ${id}: the environment variable ${env} is not set`);
    sources.set(id, { id, inKey, read: () => secretBytes(id, source, env) });
  }
  return sources;
}

function secretBytes(id: string, source: string, env: string | undefined): Uint8Array {
  if (env !== undefined) return Buffer.from(process.env[env] ?? "");
  try {
    return readFileSync(source);
  } catch (error) {
    throw new SlipwayError("SECRET_MISSING", `secret ${id}: cannot read ${source}`, { cause: error });
  }
}

function latest(history: readonly HistoryEntry[]): string | undefined {
  return history.findLast((entry) => entry.created !== undefined)?.created;
}
