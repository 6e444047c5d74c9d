import { SlipwayError } from "../../oci/SlipwayError.ts";
import type { RunStep } from "../../plan/graph.ts";
import { runStep } from "../../runtime/runStep.ts";
import { cachedStep, type StepOutcome } from "../cachedStep.ts";
import type { KeyPart } from "../key.ts";
import type { LayersResult, ResultOf, SolveContext, StepResult } from "../SolveContext.ts";
import { located } from "../located.ts";
import { openResult } from "../tree/openResult.ts";
import { dropUntouched } from "./runUntouched.ts";
import { AT_FDCWD, O_DIRECTORY, O_RDONLY } from "../../linux/constants.ts";
import { type Claims, rememberedTree, withoutClaims } from "./claims.ts";
import { prepareMounts } from "./runMounts.ts";

/** RUN: the command in a container on the layers so far; what it wrote is the layer. */
export async function run(step: RunStep, context: SolveContext, resultOf: ResultOf): Promise<LayersResult> {
  const base = await resultOf(step.base);
  if (base.kind !== "layers") throw new Error("RUN stands on a file system");
  const claims: Claims = { allowed: true, made: false };
  const partsOf = async (): Promise<KeyPart[]> => [
    ["kind", "run 2"],
    ["command", JSON.stringify(step.args)],
    ...step.env.map((entry): KeyPart => {
      const equals = entry.indexOf("=");
      return [`environment variable ${entry.slice(0, equals)}`, entry.slice(equals + 1)];
    }),
    ["working directory", step.cwd],
    ["user", step.user],
    ["network", step.network === "default" ? context.network : step.network],
    ["security", step.security],
    ["hosts", context.addHosts.join(",")],
    ["host name", context.machine.hostname ?? ""],
    ["--shm-size", String(context.machine.shmSize ?? "")],
    ["--ulimit", context.machine.rlimits.map(({ type, soft, hard }) => `${type}=${soft}:${hard}`).join(",")],
    ...step.pipes.map((pipe): KeyPart => [`heredoc ${pipe.name}`, pipe.content]),
    ...(await mountParts(step, context, resultOf, claims)),
    ["base", base.layers.join(",")],
  ];
  const parts = await partsOf();
  return cachedStep(
    context,
    step,
    base.layers,
    parts,
    () => execute(step, context, resultOf, base),
    claims.made ? () => withoutClaims(claims, partsOf) : undefined,
  );
}

/** Secrets, agents and what a cache mount holds are not inputs (BuildKit): only how they are asked for, and what a cache is made from. */
async function mountParts(
  step: RunStep,
  context: SolveContext,
  resultOf: ResultOf,
  claims: Claims,
): Promise<KeyPart[]> {
  const parts: KeyPart[] = [];
  for (const mount of step.mounts) {
    const target = "target" in mount && mount.target !== undefined ? mount.target : mount.type;
    const { from, ...definition } = { from: undefined, ...mount };
    parts.push([`mount ${target}`, JSON.stringify(definition)]);
    if (mount.type !== "bind" && (mount.type !== "cache" || from === undefined)) continue;
    parts.push([`files of mount ${target}`, await sourceDigest(mount.source, context, await resultOf(from), claims)]);
  }
  return parts;
}

/** Of the files that are mounted alone: what else is in the stage does not matter. A whole file system is known by its layers. */
async function sourceDigest(
  source: string,
  context: SolveContext,
  result: StepResult,
  claims: Claims,
): Promise<string> {
  if (result.kind === "layers") {
    if (source === "") return result.layers.join(",");
    const times = context.epoch === undefined ? [] : [context.epoch];
    const what = JSON.stringify(["mount", result.layers, source, ...times]);
    const memoKey = `tree:${new Bun.SHA256().update(what).digest("hex")}`;
    const memo = await rememberedTree(context, memoKey, claims);
    const digest = memo ?? (await digestOf(source, context, result));
    if (memo === undefined) context.store.cache.put(memoKey, digest, result.layers);
    context.collect?.tree(memoKey, digest);
    return digest;
  }
  return digestOf(source, context, result);
}

async function digestOf(source: string, context: SolveContext, result: StepResult): Promise<string> {
  const opened = await openResult(context, result);
  try {
    const node = opened.tree.lookup(source, true);
    return node === undefined ? "missing" : opened.digester.digest(node);
  } finally {
    opened.close();
  }
}

async function execute(
  step: RunStep,
  context: SolveContext,
  resultOf: ResultOf,
  base: LayersResult,
): Promise<StepOutcome> {
  const { linux, lease, store, snapshotter } = context;
  const { runtime, namespace } = await context.sandbox();
  const records = base.layers.map((diffID) => store.layers.require(diffID));
  const snapshot = snapshotter.prepare(records, lease.directory(), { volatile: true });
  const rootfs = snapshot.mount();
  try {
    const prepared = await prepareMounts(step, context, resultOf, rootfs);
    let code: number;
    try {
      code = await runStep({
        linux,
        runtime,
        namespace,
        directory: lease.directory(),
        rootfs,
        process: {
          args: step.args,
          env: [...step.env, ...step.proxyEnv, ...prepared.env],
          cwd: step.cwd,
          user: step.user,
        },
        mounts: prepared.mounts,
        network: step.network === "default" ? context.network : step.network,
        hosts: context.addHosts,
        security: step.security,
        ...context.machine,
        logs: (stream, data) => context.emit({ type: "log", step, stream, data }),
        signal: context.signal,
      });
    } finally {
      prepared.release();
    }
    if (code !== 0) throw failed(step, code);
  } catch (error) {
    throw located(error, step);
  } finally {
    linux.close(rootfs);
  }
  const upper = linux.openat(AT_FDCWD, snapshot.upper, O_RDONLY | O_DIRECTORY);
  try {
    dropUntouched(linux, upper, () => snapshotter.view(records));
  } finally {
    linux.close(upper);
  }
  return { upper: snapshot.upper };
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
