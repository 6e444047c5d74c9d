import { SlipwayError } from "../../oci/SlipwayError.ts";

/** One side of a copy, as docker's CLI splits it. */
export interface CopySide {
  container?: string;
  path: string;
}

/** `CONTAINER:PATH`, or a path here: what is absolute or begins with a dot is one even with a colon. */
export function parseCopySide(text: string): CopySide {
  if (text.startsWith("/")) return { path: text };
  const colon = text.indexOf(":");
  if (colon < 0 || text.startsWith(".")) return { path: text };
  return { container: text.slice(0, colon), path: text.slice(colon + 1) };
}

/** A path's last part matters in three ways: `a/` must be a directory, `a/.` is what is in it. */
export interface CopyPath {
  /** Without trailing slash or dot, no `.` and `..`; absolute. */
  path: string;
  /** Ends in `/` or `/.`. */
  assertsDirectory: boolean;
  /** Ends in `/.`: the contents, not the directory itself. */
  isContents: boolean;
}

/** Relative ones are below `base`. */
export function parseCopyPath(text: string, base: string): CopyPath {
  const isContents = text === "." || text.endsWith("/.");
  const parts: string[] = [];
  for (const part of (text.startsWith("/") ? text : `${base}/${text}`).split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return { path: `/${parts.join("/")}`, assertsDirectory: isContents || text.endsWith("/"), isContents };
}

/** The directory and the last part; of the root, itself and ".". */
export function splitPath(path: string): [directory: string, name: string] {
  if (path === "/") return ["/", "."];
  const slash = path.lastIndexOf("/");
  return [slash === 0 ? "/" : path.slice(0, slash), path.slice(slash + 1)];
}

export interface Placement {
  /** Directory that exists. */
  directory: string;
  /** What the copy is called there; undefined: it keeps its own name, or is the contents alone. */
  name?: string;
}

/**
 * Where a copy goes, docker's rules: into a directory that is there; over a file that is there, by its name; else by the new name, which a file
 * must not have with a slash at its end. @throws SlipwayError `CANNOT_COPY`
 */
export function placeCopy(
  source: { isDirectory: boolean },
  destination: CopyPath & { exists: boolean; isDirectory: boolean },
): Placement {
  if (destination.exists && destination.isDirectory) return { directory: destination.path };
  const [directory, name] = splitPath(destination.path);
  if (destination.exists && source.isDirectory) throw cannot("cannot copy directory");
  if (destination.exists && destination.assertsDirectory) throw cannot("not a directory");
  if (!destination.exists && !source.isDirectory && destination.assertsDirectory) {
    throw cannot(`no such directory: ${destination.path}`);
  }
  return { directory, name };
}

export function cannot(message: string, cause?: unknown): SlipwayError {
  return new SlipwayError("CANNOT_COPY", message, { cause });
}
