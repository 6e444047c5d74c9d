import { filepathMatch } from "../../dockerfile/filepathMatch.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import type { CopyItem, CopyStep } from "../../plan/graph.ts";
import type { FileTree, TreeNode } from "../tree/FileTree.ts";
import { expandWildcard } from "../tree/expandWildcard.ts";

/** One file or directory that a COPY source came to. */
export interface CopySource {
  tree: FileTree;
  node: TreeNode;
  /** As the Dockerfile names it, wildcards filled in: its last part is the name that the copy gets. */
  path: string;
  /** With `--parents`: the path that it keeps under the destination. */
  under?: string;
  extract: boolean;
}

/**
 * A wildcard that matches nothing is no error (BuildKit's AllowEmptyWildcard); a plain path that is not there is.
 * @throws SlipwayError `COPY_SOURCE_NOT_FOUND`
 */
export function findSources(step: CopyStep, item: Extract<CopyItem, { type: "path" }>, tree: FileTree): CopySource[] {
  const { prefix, rest } = step.parents ? pivot(item.path) : { prefix: "", rest: item.path };
  const whole = prefix === "" ? rest : `${prefix}/${rest}`;
  const paths = item.wildcard ? expandWildcard(tree, whole, filepathMatch) : [whole];
  return paths.map((path) => {
    // A link that COPY names is followed; with --parents it is copied as it is.
    const node = tree.lookup(path, !step.parents);
    if (node === undefined) throw notFound(step, item.path, tree);
    const source: CopySource = { tree, node, path, extract: item.extract };
    if (step.parents) source.under = prefix === "" ? path : path.slice(prefix.length + 1);
    return source;
  });
}

/** `a/./b`: what stands before the pivot is not kept under the destination. */
function pivot(path: string): { prefix: string; rest: string } {
  const at = path.indexOf("/./");
  return at < 0 ? { prefix: "", rest: path } : { prefix: path.slice(0, at), rest: path.slice(at + 3) };
}

function notFound(step: CopyStep, path: string, tree: FileTree): SlipwayError {
  return new SlipwayError("COPY_SOURCE_NOT_FOUND", `${JSON.stringify(`/${path}`)} not found`, {
    hint: tree.rootOwned
      ? "Paths are relative to the build context; files that .dockerignore names are not in it."
      : "The path is looked up in the file system that --from names.",
    ...(step.range === undefined ? {} : { range: step.range }),
  });
}
