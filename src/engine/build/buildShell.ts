import type { Digest } from "../../oci/digest.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { unavailable } from "../../runtime/chroot/unavailable.ts";
import type { Terminal } from "../../runtime/runStep.ts";
import { openShell } from "../../solve/openShell.ts";
import { reusableMount } from "../../solve/reusableMount.ts";
import { openSandbox } from "./build.ts";
import type { BuildRecord, RecordedStep } from "./buildRecords.ts";
import type { Engine } from "../Engine.ts";

/**
 * Opens a shell in what a step of a recorded build came to, as the process that the nearest RUN was: its environment, directory and user.
 * What is written there is thrown away. Returns when it is left. @throws SlipwayError `STEP_HAS_NO_RESULT`, `LAYERS_GONE`, `NO_SHELL`
 */
export async function buildShell(
  engine: Engine,
  record: BuildRecord,
  step: RecordedStep,
  options: { terminal: Terminal; opening(shell: string): void },
): Promise<void> {
  const { store, signal } = engine;
  const { linux } = store;
  const lease = store.lease("builds shell");
  try {
    const { layers, process } = resultOf(record, step);
    const records = layers.map((diffID) => {
      lease.protect("layer", diffID);
      const found = store.layers.get(diffID);
      if (found !== undefined) return found;
      throw new SlipwayError("LAYERS_GONE", `a layer of ${step.name} is not in the store any more`, {
        hint: "The cache has been pruned since; build again.",
      });
    });
    const snapshot = store.snapshotter.prepare(records, lease.directory(), { volatile: true });
    const sandbox = await openSandbox(engine);
    if (sandbox.kind === "chroot") throw unavailable("a shell in the files of a build");
    const root = reusableMount(linux, snapshot.mount(), `${lease.directory()}/root`);
    try {
      await openShell({
        linux,
        sandbox,
        newDirectory: () => lease.directory(),
        root,
        process,
        mounts: [],
        network: "default",
        hosts: [],
        security: "sandbox",
        ...options,
        signal,
      });
    } finally {
      root.close();
    }
  } finally {
    lease.release();
  }
}

function resultOf(
  record: BuildRecord,
  step: RecordedStep,
): { layers: Digest[]; process: { env: string[]; cwd: string; user: string } } {
  if (step.layers === undefined) throw noResult(record, step);
  const byId = new Map(record.steps.map((each) => [each.id, each]));
  const layers: Digest[] = [];
  let process: RecordedStep["process"];
  for (let at: RecordedStep | undefined = step; at !== undefined; at = byId.get(at.below ?? "")) {
    layers.unshift(...(at.layers ?? []));
    process ??= at.process;
  }
  return { layers, process: process ?? { env: [], cwd: "/", user: "" } };
}

function noResult(record: BuildRecord, step: RecordedStep): SlipwayError {
  const failed = step.error !== undefined;
  const why = failed ? "it failed" : step.finished === undefined ? "it did not end" : "it made no file system";
  const number = record.steps.findIndex((each) => each.id === step.below) + 1;
  return new SlipwayError("STEP_HAS_NO_RESULT", `${step.name} has no result to look into: ${why}`, {
    hint:
      failed && number > 0
        ? `\`slipway builds shell ${record.id} ${number}\` opens what it stood on; \`slipway build --on-error=shell\` what it left.`
        : `\`slipway builds show ${record.id}\` lists the steps.`,
  });
}
