import { join } from "node:path";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { formatFullPlatform, hostPlatform } from "../../oci/platform.ts";
import type { RunStep } from "../../plan/graph.ts";
import type { Store } from "../../store/Store.ts";
import { checkRunnable } from "../../runtime/checkRunnable.ts";
import { unavailable } from "../../runtime/chroot/unavailable.ts";
import { runStep } from "../../runtime/runStep.ts";
import { reusableMount } from "../reusableMount.ts";
import { FailedRun } from "../FailedRun.ts";
import { cachedStep, type StepOutcome } from "../cachedStep.ts";
import { fileValue, treeValue } from "../explain/explainMiss.ts";
import type { Piece } from "../explain/entries.ts";
import type { FileLists, KeyPart } from "../explain/key.ts";
import type { LayersResult, ResultOf, SolveContext, StepResult } from "../SolveContext.ts";
import { openNetwork } from "../openNetwork.ts";
import { located } from "../located.ts";
import { openResult } from "../tree/openResult.ts";
import { type Claims, rememberedTree, withoutClaims } from "./claims.ts";
import { type PreparedMounts, prepareMounts } from "./runMounts.ts";

/** Setting that holds the key of {@link keyedDigest}. */
const HMAC_KEY = "secret-digests";

/** RUN: the command in a container on the layers so far; what it wrote is the layer. */
export async function run(step: RunStep, context: SolveContext, resultOf: ResultOf): Promise<LayersResult> {
  const base = await resultOf(step.base);
  if (base.kind !== "layers") throw new Error("RUN stands on a file system");
  const claims: Claims = { allowed: true, made: false };
  const lists: FileLists = new Map();
  const partsOf = async (): Promise<KeyPart[]> => [
    ["kind", "run 3"],
    ["command", JSON.stringify(step.args)],
    ...step.env.map((entry): KeyPart => {
      const equals = entry.indexOf("=");
      const name = entry.slice(0, equals);
      const what = step.argNames.includes(name) ? "build argument" : "environment variable";
      return [`${what} ${name}`, entry.slice(equals + 1)];
    }),
    ["working directory", step.cwd],
    ["user", step.user],
    ["network", networkKey(step, context)],
    ["security", step.security],
    ["hosts", context.addHosts.join(",")],
    ["host name", context.machine.hostname ?? ""],
    ["--shm-size", String(context.machine.shmSize ?? "")],
    ["--ulimit", context.machine.rlimits.map(({ type, soft, hard }) => `${type}=${soft}:${hard}`).join(",")],
    ...step.pipes.map((pipe): KeyPart => [`heredoc ${pipe.name}`, pipe.content]),
    ...(await mountParts(step, { context, resultOf, lists, claims })),
    ...platformPart(step),
    ["base", base.layers.join(",")],
  ];
  const keyed = { step, base, parts: await partsOf(), lists };
  return cachedStep(
    context,
    keyed,
    () => execute(step, context, resultOf, base),
    claims.made ? () => withoutClaims(claims, partsOf) : undefined,
  );
}

/** That of this machine is not said. */
function platformPart({ platform }: RunStep): KeyPart[] {
  const own = hostPlatform();
  if (platform === undefined || (platform.os === own.os && platform.architecture === own.architecture)) return [];
  return [["platform", formatFullPlatform(platform)]];
}

/** What the digests of mounts are asked with. */
interface Asked {
  context: SolveContext;
  lists: FileLists;
  claims: Claims;
}

function networkKey(step: RunStep, { network }: SolveContext): string {
  if (step.network !== "default") return step.network;
  return typeof network === "string" ? network : network.key;
}

/**
 * Secrets, agents and what a cache mount holds are not inputs (BuildKit): only how they are asked for, and what a cache is made from. A secret
 * is one where the build says so, by a digest that nobody can hold a guess against who has not the store.
 */
async function mountParts(step: RunStep, asked: Asked & { resultOf: ResultOf }): Promise<KeyPart[]> {
  const { resultOf, context } = asked;
  const parts: KeyPart[] = [];
  for (const mount of step.mounts) {
    const target = "target" in mount && mount.target !== undefined ? mount.target : mount.type;
    const { from, ...definition } = { from: undefined, ...mount };
    parts.push([`mount ${target}`, JSON.stringify(definition)]);
    if (mount.type === "secret") {
      const secret = context.secrets.get(mount.id);
      if (secret?.inKey === true) parts.push([`secret ${mount.id}`, keyedDigest(context.store, secret.read())]);
    }
    if (mount.type !== "bind" && (mount.type !== "cache" || from === undefined)) continue;
    parts.push([`files of mount ${target}`, await sourceDigest(mount.source, await resultOf(from), asked)]);
  }
  return parts;
}

/** HMAC-SHA256 (hex) by a key that this store made for itself. */
function keyedDigest(store: Store, bytes: Uint8Array): string {
  const { settings } = store;
  const key =
    settings.get(HMAC_KEY) ??
    store.transaction(() => {
      // Another process may have been faster.
      const made = settings.get(HMAC_KEY) ?? Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("hex");
      settings.set(HMAC_KEY, made);
      return made;
    });
  return new Bun.CryptoHasher("sha256", Buffer.from(key, "hex")).update(bytes).digest("hex");
}

/** Of the files that are mounted alone: what else is in the stage does not matter. A whole file system is known by its layers. */
async function sourceDigest(source: string, result: StepResult, { context, lists, claims }: Asked): Promise<string> {
  if (result.kind === "layers") {
    if (source === "") return result.layers.join(",");
    const times = context.epoch === undefined ? [] : [context.epoch];
    const what = JSON.stringify(["mount 2", result.layers, source, ...times]);
    const memoKey = `tree:${new Bun.SHA256().update(what).digest("hex")}`;
    const memo = await rememberedTree(context, memoKey, claims);
    const digest = memo ?? (await digestOf(source, context, result, lists));
    if (memo === undefined) context.store.cache.put(memoKey, digest, result.layers);
    context.collect?.tree(memoKey, digest);
    return digest;
  }
  return digestOf(source, context, result, lists);
}

async function digestOf(source: string, context: SolveContext, result: StepResult, lists: FileLists): Promise<string> {
  const opened = await openResult(context, result);
  const { tree, digester } = opened;
  try {
    const node = tree.lookup(source, true);
    if (node === undefined) return "missing";
    if (!node.isDirectory) return fileValue(digester.describe(node));
    const digest = digester.digest(node);
    // Of layers, which are closed by then, the list is made now: it is asked for once, a memo keeps the digest.
    const list = result.kind === "layers" ? Array.from(digester.list(node), copyPiece) : undefined;
    lists.set(digest, () => list ?? digester.list(node));
    return treeValue(digest);
  } finally {
    opened.close();
  }
}

function copyPiece(piece: Piece): Piece {
  const bytes = piece.bytes().slice();
  return { hash: piece.hash, bytes: () => bytes };
}

async function execute(
  step: RunStep,
  context: SolveContext,
  resultOf: ResultOf,
  base: LayersResult,
): Promise<StepOutcome> {
  const { linux, lease, store, snapshotter } = context;
  const sandbox = await context.sandbox();
  const byChroot = sandbox.kind === "chroot";
  if (byChroot && context.shellOnError !== undefined) throw unavailable("a shell in the step that fails (--on-error)");
  await context.fetchLayers(base.layers, `${step.name} runs in it`);
  const records = base.layers.map((diffID) => store.layers.require(diffID));
  const snapshot = snapshotter.prepare(records, lease.directory(), { volatile: true });
  // What may be run in again, by a shell, stays attached.
  const mounted = snapshot.mount();
  const root =
    context.shellOnError === undefined ? undefined : reusableMount(linux, mounted, join(lease.directory(), "root"));
  const rootfs = root?.copy() ?? mounted;
  let prepared: PreparedMounts | undefined;
  const dispose = (): void => {
    prepared?.release();
    if (root === undefined) linux.close(rootfs);
    else root.close();
  };
  try {
    prepared = await prepareMounts(step, context, resultOf, { root: rootfs, mayMount: !byChroot });
    checkRunnable(linux, rootfs, step, step.platform);
    const { network, close } = openNetwork(step, context);
    const code = await runStep({
      linux,
      sandbox,
      directory: lease.directory(),
      rootfs,
      ...(snapshot.path === undefined ? {} : { rootPath: snapshot.path }),
      process: { args: step.args, ...processOf(step, prepared) },
      mounts: prepared.mounts,
      network,
      hosts: context.addHosts,
      security: step.security,
      ...context.machine,
      logs: (stream, data) => context.emit({ type: "log", step, stream, data }),
      signal: context.signal,
    }).finally(close);
    if (code !== 0) throw failed(step, code);
  } catch (thrown) {
    const error = located(thrown, step);
    if (root !== undefined && prepared !== undefined)
      throw new FailedRun(error, { root, mounts: prepared.mounts, process: processOf(step, prepared), dispose });
    dispose();
    throw error;
  }
  dispose();
  return { upper: snapshot.layer() };
}

function processOf(step: RunStep, prepared: PreparedMounts): { env: string[]; cwd: string; user: string } {
  return { env: [...step.env, ...step.proxyEnv, ...prepared.env], cwd: step.cwd, user: step.user };
}

/** Linux, MAX_ARG_STRLEN with pages of 4 KiB. */
const LONGEST_ARGUMENT = 128 * 1024;
/** So much of a command names it; the rest is in the Dockerfile. */
const SHOWN = 4000;

/** BuildKit's words. */
function failed(step: RunStep, code: number): SlipwayError {
  const whole = step.args.join(" ");
  const command = JSON.stringify(whole.length > SHOWN ? `${whole.slice(0, SHOWN)}…` : whole);
  const tooLong = step.args.some((arg) => Buffer.byteLength(arg) >= LONGEST_ARGUMENT);
  return new SlipwayError(
    "STEP_FAILED",
    `process ${command} did not complete successfully: exit code: ${code}`,
    tooLong
      ? {
          hint: "Linux takes no argument of 128 KiB or more. A heredoc that starts with #!/bin/sh is run as a file, of any length.",
        }
      : {},
  );
}
