import { filepathMatch } from "../../dockerfile/filepathMatch.ts";
import { nearest } from "../../dockerfile/nearest.ts";
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
    hint: hintOf(path, tree),
    ...(step.range === undefined ? {} : { range: step.range }),
  });
}

function hintOf(path: string, tree: FileTree): string {
  if (tree.leavesOut(path))
    return `${path} is there, but the ignore file leaves it out of the build context: --print-context shows by which line.`;
  // Of the first part that is missing.
  const parts = path.split("/");
  for (let n = 1; n <= parts.length; n++) {
    if (tree.lookup(parts.slice(0, n).join("/"), true) !== undefined) continue;
    const parent = parts.slice(0, n - 1).join("/");
    const directory = tree.lookup(parent, true);
    const names = directory === undefined ? [] : tree.children(directory).map(({ name }) => name);
    const near = nearest(parts[n - 1] ?? "", names);
    if (near !== undefined) return `Did you mean ${parent === "" ? near : `${parent}/${near}`}?`;
    break;
  }
  return tree.rootOwned
    ? "Paths are relative to the build context."
    : "The path is looked up in the file system that --from names.";
}
