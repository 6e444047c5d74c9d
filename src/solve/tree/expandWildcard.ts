import { hasWildcard } from "../../plan/paths.ts";
import type { FileTree, TreeNode } from "../tree/FileTree.ts";

/**
 * The paths of the tree that a COPY source with wildcards names, in the order of a walk: Go's filepath.Match, component by component, where
 * `**` is no more than `*`. Links are followed before the first component with a wildcard, and not from there on. Undefined when the
 * directory before that component is not there.
 */
export function expandWildcard(
  tree: FileTree,
  pattern: string,
  matches: (pattern: string, name: string) => boolean,
): string[] | undefined {
  const parts = pattern.split("/").filter((part) => part !== "" && part !== ".");
  const first = parts.findIndex(hasWildcard);
  const fixed = parts.slice(0, first).join("/");
  const start = tree.lookup(fixed, true);
  const found: string[] = [];

  function walk(node: TreeNode, path: string, at: number): void {
    if (at === parts.length) {
      found.push(path);
      return;
    }
    if (!node.isDirectory) return;
    for (const child of tree.children(node)) {
      if (matches(parts[at] as string, child.name))
        walk(child, path === "" ? child.name : `${path}/${child.name}`, at + 1);
    }
  }

  if (start === undefined) return undefined;
  walk(start, fixed, first);
  return found;
}
