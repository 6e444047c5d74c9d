import { AT_FDCWD, O_DIRECTORY } from "../../linux/constants.ts";
import type { MkdirStep } from "../../plan/graph.ts";
import { cachedStep } from "../cachedStep.ts";
import type { LayersResult, ResultOf, SolveContext } from "../SolveContext.ts";
import { createLayerWriter } from "./layerWriter.ts";
import { lookupOwner } from "./owner.ts";
import { timespec } from "./writeCopies.ts";

/** WORKDIR: the directory and its parents, 0755, owned by the stage's USER where they have to be made. */
export async function mkdir(step: MkdirStep, context: SolveContext, resultOf: ResultOf): Promise<LayersResult> {
  const base = await resultOf(step.base);
  if (base.kind !== "layers") throw new Error("WORKDIR stands on a file system");
  const parts: [string, string][] = [
    ["kind", "mkdir 1"],
    ["directory", step.path],
    ["user", step.user],
    ["base", base.layers.join(",")],
  ];
  return cachedStep(context, step, base.layers, parts, async () => {
    const { linux, lease, store, snapshotter } = context;
    const upper = lease.directory();
    const upperFd = linux.openat(AT_FDCWD, upper, O_DIRECTORY);
    linux.fchmod(upperFd, 0o755);
    const records = base.layers.map((diffID) => store.layers.require(diffID));
    const lowerFd = records.length === 0 ? undefined : snapshotter.view(records);
    const writer = createLayerWriter(linux, upperFd, lowerFd);
    try {
      if (writer.resolve(step.path, true).stat === undefined) {
        writer.mkdirAll(step.path, lookupOwner(linux, lowerFd, step.user), timespec(Date.now()));
      }
    } finally {
      writer.finish();
      linux.close(upperFd);
      if (lowerFd !== undefined) linux.close(lowerFd);
    }
    return { upper };
  });
}
