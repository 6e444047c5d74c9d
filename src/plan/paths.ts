import { posix } from "node:path";

/** An absolute path, cleaned; `path` is taken from `directory` when it is relative. A trailing slash (or `.`) is kept as a slash. */
export function resolveKeepingSlash(directory: string, path: string): string {
  const word = path === "" || path === "." ? "./" : path;
  const joined = posix.resolve("/", directory, word);
  const slash = word.endsWith("/") || word.endsWith("/.");
  return slash && joined !== "/" ? `${joined}/` : joined;
}

/** WORKDIR's path: absolute, cleaned, no trailing slash; relative ones stand on `current`. */
export function resolveWorkdir(current: string, path: string): string {
  return posix.resolve("/", current, path);
}

/** A source in a tree: cleaned, without the leading slash; `""` is the root. It cannot leave the root. */
export function treePath(path: string): string {
  return posix.resolve("/", path).slice(1);
}

export function hasWildcard(path: string): boolean {
  for (let i = 0; i < path.length; i++) {
    const char = path[i];
    if (char === "\\") i++;
    else if (char === "*" || char === "?" || char === "[") return true;
  }
  return false;
}
