/**
 * Names of entries, cut up as plain text. node:path is not used for them: in Bun it makes U+FFFD of the surrogates that stand for bytes
 * that are no UTF-8 (linux/pathBytes.ts), so that such a name would be lost.
 */

/** A name inside the root: no empty, `.` or `..` part, no slash at either end; `..` stops at the root. "" is the root. */
export function cleanPath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return parts.join("/");
}

/** "" for a name in the root. */
export function parentPath(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash < 0 ? "" : path.slice(0, slash);
}

export function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
