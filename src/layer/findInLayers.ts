import { S_IFDIR, S_IFLNK, S_IFMT } from "../linux/constants.ts";
import type { Linux, Stat } from "../linux/Linux.ts";
import { opaqueAttribute, isWhiteout } from "./overlayForm.ts";

export interface Found {
  /** Index of the layer. */
  layer: number;
  /** In that layer's directory, without links on the way. */
  path: string;
  stat: Stat;
}

const MAX_LINKS = 40;

/**
 * What an overlay of the directories `roots` (topmost first) shows at `path`: whiteouts and opaque marks hide, links on the way are followed
 * inside, one at the end is not. Undefined where it shows nothing.
 */
export function findInLayers(linux: Linux, roots: readonly number[], path: string): Found | undefined {
  const rest = split(path);
  let done: string[] = [];
  let links = 0;
  let found: Found | undefined;
  while (rest.length > 0) {
    const name = rest.shift() as string;
    if (name === "..") {
      done.pop();
      continue;
    }
    const here = [...done, name].join("/");
    found = topmost(linux, roots, here);
    if (found === undefined) return undefined;
    const type = found.stat.mode & S_IFMT;
    if (rest.length > 0 && type === S_IFLNK) {
      if (++links > MAX_LINKS) return undefined;
      const target = linux.readlinkat(roots[found.layer] as number, here);
      if (target.startsWith("/")) done = [];
      rest.unshift(...split(target));
      continue;
    }
    if (rest.length > 0 && type !== S_IFDIR) return undefined;
    done.push(name);
  }
  return found;
}

/** `path` is known to have directories on its way in the merged view, and no links. */
function topmost(linux: Linux, roots: readonly number[], path: string): Found | undefined {
  for (const [layer, root] of roots.entries()) {
    const [stat, hides] = look(linux, root, path);
    if (stat !== undefined) return isWhiteout(stat) ? undefined : { layer, path, stat };
    if (hides) return undefined;
  }
  return undefined;
}

/** What one layer has at `path`, and whether it hides what others have there. */
function look(linux: Linux, root: number, path: string): [Stat | undefined, boolean] {
  let hides = false;
  const parts = path.split("/");
  for (let i = 1; i <= parts.length; i++) {
    const here = parts.slice(0, i).join("/");
    const stat = linux.statatOrUndefined(root, here);
    if (stat === undefined || i === parts.length) return [stat, hides];
    if ((stat.mode & S_IFMT) !== S_IFDIR) return [undefined, true];
    hides ||= linux.getxattr(root, here, opaqueAttribute(linux)) !== undefined;
  }
  return [undefined, hides];
}

function split(path: string): string[] {
  return path.split("/").filter((part) => part !== "" && part !== ".");
}
