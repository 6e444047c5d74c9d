import { O_DIRECTORY, O_PATH } from "../../linux/constants.ts";
import { bring } from "../bring.ts";
import type { SolveContext, StepResult, TreeResult } from "../SolveContext.ts";
import { createFileTree } from "./FileTree.ts";
import { createTreeDigester } from "./treeDigest.ts";

/** The result of a step as a tree to copy from: a context as it is, a file system by a read-only view that `close` ends. */
export async function openResult(context: SolveContext, result: StepResult): Promise<TreeResult & { close(): void }> {
  if (result.kind === "tree") return { ...result, close: () => {} };
  await bring(context, result.layers, "a step takes files of it");
  const records = result.layers.map((diffID) => context.store.layers.require(diffID));
  const view = context.snapshotter.view(records);
  const tree = createFileTree(context.linux, context.linux.openat(view.fd, ".", O_PATH | O_DIRECTORY));
  const close = (): void => {
    tree.close();
    view.close();
  };
  return { kind: "tree", tree, digester: createTreeDigester(context.linux, tree, context), close };
}
