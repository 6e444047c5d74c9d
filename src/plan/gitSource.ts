import { SlipwayError } from "../oci/SlipwayError.ts";

/** A git repository as ADD names it. */
export interface GitSource {
  remote: string;
  ref?: string;
  subdir?: string;
  checksum?: string;
  keepGitDir?: boolean;
  submodules: boolean;
}

const scp = /^[A-Za-z0-9_]+@[A-Za-z0-9.-]+:/;

/**
 * Reads `git://`, `ssh://`, `user@host:path`, and `http(s)://….git`, each with `#ref:subdir` or `?ref=…&subdir=…`. Undefined: not a
 * repository (a URL of a file, or a local path).
 * @throws SlipwayError `INVALID_GIT_URL`
 */
export function parseGitSource(text: string): GitSource | undefined {
  const hash = text.indexOf("#");
  const beforeHash = hash < 0 ? text : text.slice(0, hash);
  const question = scp.test(text) ? -1 : beforeHash.indexOf("?");
  const remote = question < 0 ? beforeHash : beforeHash.slice(0, question);
  const web = /^https?:\/\//.test(remote);
  if (!(web ? /\.git$/.test(remote) : scp.test(remote) || /^(git|ssh):\/\//.test(remote))) return undefined;

  const source: GitSource = { remote, submodules: true };
  if (question >= 0) readQuery(text, beforeHash.slice(question + 1), source);
  if (hash >= 0) {
    const [ref = "", subdir = ""] = splitOnce(text.slice(hash + 1), ":");
    if ((ref !== "" && source.ref !== undefined) || (subdir !== "" && source.subdir !== undefined))
      throw new SlipwayError("INVALID_GIT_URL", `${text}: ref and subdir stand in the query or after #, not in both`);
    if (ref !== "") source.ref = ref;
    if (subdir !== "") source.subdir = subdir;
  }
  if (source.subdir === "/" || source.subdir === "") delete source.subdir;
  return source;
}

function readQuery(text: string, query: string, source: GitSource): void {
  for (const [key, value] of new URLSearchParams(query)) {
    switch (key) {
      case "ref":
        setRef(text, source, value);
        break;
      case "tag":
        setRef(text, source, `refs/tags/${value}`);
        break;
      case "branch":
        setRef(text, source, `refs/heads/${value}`);
        break;
      case "subdir":
        source.subdir = value;
        break;
      case "checksum":
      case "commit":
        source.checksum = value;
        break;
      case "keep-git-dir":
        source.keepGitDir = flag(text, key, value);
        break;
      case "submodules":
        source.submodules = flag(text, key, value);
        break;
      default:
        throw new SlipwayError("INVALID_GIT_URL", `${text}: unexpected query ${JSON.stringify(key)}`);
    }
  }
}

function setRef(text: string, source: GitSource, ref: string): void {
  if (source.ref !== undefined)
    throw new SlipwayError("INVALID_GIT_URL", `${text}: ref, tag and branch exclude each other`);
  source.ref = ref;
}

function flag(text: string, key: string, value: string): boolean {
  if (["", "1", "t", "T", "true", "TRUE", "True"].includes(value)) return true;
  if (["0", "f", "F", "false", "FALSE", "False"].includes(value)) return false;
  throw new SlipwayError("INVALID_GIT_URL", `${text}: ${key} is true or false, not ${JSON.stringify(value)}`);
}

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}
