import { filepathMatch } from "../../dockerfile/filepathMatch.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import type { CopyItem, CopyStep } from "../../plan/graph.ts";
import { hasWildcard } from "../../plan/paths.ts";
import type { FileTree, TreeFilter, TreeNode } from "../tree/FileTree.ts";
import { expandWildcard } from "../tree/expandWildcard.ts";
import { createSelection } from "./selection.ts";

/** One file or directory that a COPY source came to. */
export interface CopySource {
  tree: FileTree;
  node: TreeNode;
  /** As the Dockerfile names it, wildcards filled in: its last part is the name that the copy gets. */
  path: string;
  /** With `--parents`: what is copied of the directory, as a pattern relative to it. */
  include?: string;
  /** What is copied of a directory; undefined: all. */
  selection?: TreeFilter;
  extract: boolean;
}

/**
 * A wildcard that matches nothing is no error (BuildKit's AllowEmptyWildcard); a plain path that is not there is, and so is the directory
 * that a wildcard is looked for in.
 * @throws SlipwayError `COPY_SOURCE_NOT_FOUND`
 */
export function findSources(step: CopyStep, item: Extract<CopyItem, { type: "path" }>, tree: FileTree): CopySource[] {
  const { path: from, include } = step.parents ? pivot(item.path) : { path: item.path, include: undefined };
  const selection = createSelection(include, step.exclude);
  const paths = item.wildcard && hasWildcard(from) ? expandWildcard(tree, from, filepathMatch) : [from];
  if (paths === undefined) throw notFound(step, item.path, tree);
  return paths.map((path) => {
    const node = tree.lookup(path, true);
    if (node === undefined) throw notFound(step, item.path, tree);
    const source: CopySource = { tree, node, path, extract: item.extract };
    if (selection !== undefined) source.selection = selection;
    if (include === undefined) return source;
    // What names a file has to be there; a pattern that finds nothing is no error, as without --parents.
    if (!hasWildcard(include) && tree.lookup(`${path}/${include}`, false) === undefined)
      throw notFound(step, item.path, tree);
    return { ...source, include };
  });
}

/** `a/./b`: the directory that is copied from, and what of it. Without a pivot, from the root. */
function pivot(path: string): { path: string; include: string | undefined } {
  const at = path.indexOf("/./");
  const include = at < 0 ? path : path.slice(at + 3);
  return { path: at < 0 ? "" : path.slice(0, at), include: include === "" ? undefined : include };
}

function notFound(step: CopyStep, path: string, tree: FileTree): SlipwayError {
  return new SlipwayError("COPY_SOURCE_NOT_FOUND", `${JSON.stringify(`/${path}`)} not found`, {
    hint: tree.rootOwned
      ? "Paths are relative to the build context; files that .dockerignore names are not in it."
      : "The path is looked up in the file system that --from names.",
    ...(step.range === undefined ? {} : { range: step.range }),
  });
}
