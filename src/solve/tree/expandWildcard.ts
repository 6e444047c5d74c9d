import { S_IFDIR, S_IFLNK, S_IFMT } from "../../linux/constants.ts";
import type { FileTree, TreeNode } from "./FileTree.ts";

/**
 * The paths of the tree that a COPY source with wildcards names, sorted: Go's filepath.Match, component by component, as BuildKit
 * resolves it; a component `**` stands for any number of directories. Links in the way are followed.
 */
export function expandWildcard(
  tree: FileTree,
  pattern: string,
  matches: (pattern: string, name: string) => boolean,
): string[] {
  const parts = pattern.split("/").filter((part) => part !== "" && part !== ".");
  const found = new Set<string>();

  function walk(node: TreeNode, path: string, at: number): void {
    if (at === parts.length) {
      found.add(path);
      return;
    }
    const part = parts[at] as string;
    const directory = follow(node);
    if (directory === undefined) return;
    if (part === "**") {
      walk(node, path, at + 1);
      for (const child of tree.children(directory)) {
        // A link is no directory to `**`: it could lead round in a circle.
        const isDirectory = (child.stat.mode & S_IFMT) === S_IFDIR;
        if (isDirectory) walk(child, join(path, child.name), at);
        else if (at + 1 === parts.length) found.add(join(path, child.name));
        else if (at + 2 === parts.length && matches(parts[at + 1] as string, child.name))
          found.add(join(path, child.name));
      }
      return;
    }
    for (const child of tree.children(directory)) {
      if (matches(part, child.name)) walk(child, join(path, child.name), at + 1);
    }
  }

  function follow(node: TreeNode): TreeNode | undefined {
    const target = (node.stat.mode & S_IFMT) === S_IFLNK ? tree.lookup(node.path, true) : node;
    return target !== undefined && (target.stat.mode & S_IFMT) === S_IFDIR ? target : undefined;
  }

  walk(tree.root, "", 0);
  return [...found].sort();
}

function join(directory: string, name: string): string {
  return directory === "" ? name : `${directory}/${name}`;
}
