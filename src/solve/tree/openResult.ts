import { bring } from "../bring.ts";
import type { SolveContext, StepResult, TreeResult } from "../SolveContext.ts";
import { createFileTree } from "./FileTree.ts";
import { createTreeDigester } from "./treeDigest.ts";

/** The result of a step as a tree to copy from: a context as it is, a file system by a read-only view that `close` ends. */
export async function openResult(context: SolveContext, result: StepResult): Promise<TreeResult & { close(): void }> {
  if (result.kind === "tree") return { ...result, close: () => {} };
  await bring(context, result.layers, "a step takes files of it");
  const records = result.layers.map((diffID) => context.store.layers.require(diffID));
  const tree = createFileTree(context.linux, context.snapshotter.view(records));
  return { kind: "tree", tree, digester: createTreeDigester(context.linux, tree, context), close: () => tree.close() };
}
