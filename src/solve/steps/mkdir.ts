import type { MkdirStep } from "../../plan/graph.ts";
import { cachedStep } from "../cachedStep.ts";
import type { LayersResult, ResultOf, SolveContext } from "../SolveContext.ts";
import { lookupOwner } from "./owner.ts";
import { withLayerWriter } from "./withLayerWriter.ts";
import { timeOfWork } from "./writeCopies.ts";

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
  return cachedStep(context, { step, base, parts }, async () => {
    const upper = await withLayerWriter(
      context,
      base.layers,
      { link: false, why: `${step.name} makes a directory where it has none` },
      (writer, lowerFd) => {
        if (writer.resolve(step.path, true).stat !== undefined) return;
        writer.mkdirAll(step.path, lookupOwner(context.linux, lowerFd, step.user), timeOfWork(context));
      },
    );
    return { upper };
  });
}
