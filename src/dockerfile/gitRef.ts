import { SlipwayError } from "../oci/SlipwayError.ts";
import { parseBool } from "./parseBool.ts";

/** A URL that git understands, or `user@host:path`. */
export interface GitURL {
  scheme: "http" | "https" | "ssh" | "git";
  /** With the port. */
  host: string;
  path: string;
  /** `user` or `user:password`. */
  user: string;
  fragment: { ref: string; subdir: string } | undefined;
  query: Map<string, string[]> | undefined;
  /** Without query and fragment: what git is given. */
  remote: string;
}

/** A git repository as a build context or an ADD source names it. "" and undefined: not said. */
export interface GitRef {
  remote: string;
  /** The repository's directory name. */
  shortName: string;
  ref: string;
  checksum: string;
  subDir: string;
  /** Written like a local path, `github.com/…`; build contexts alone may be. */
  indistinguishableFromLocal: boolean;
  unencryptedTCP: boolean;
  keepGitDir: boolean | undefined;
  submodules: boolean | undefined;
  /** "checkout" or "commit": where the files' times come from. */
  mtime: string;
  fetchByCommit: boolean;
}

const scpForm = /^([a-zA-Z0-9_]+)@([a-zA-Z0-9.-]+):(.*?)(?:\?(.*?))?(?:#(.*))?$/s;
const urlForm = /^([a-zA-Z][a-zA-Z0-9+.-]*):\/\/(?:([^@/?#]*)@)?([^/?#]*)([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/s;

/**
 * Reads a build context or an ADD source as a git repository; undefined when it is none.
 * @throws SlipwayError `INVALID_GIT_URL` when it is one and asks for what does not go together
 */
export function parseGitRef(text: string): GitRef | undefined {
  if (text.startsWith("./") || text.startsWith("../")) return undefined;
  const local = text.startsWith("github.com/");
  const url = parseGitURL(local ? `https://${text}` : text);
  if (url === undefined || !/^(?:[^:]+(?::\d*)?|\[.*\](?::\d*)?)$/.test(url.host)) return undefined;
  const web = url.scheme === "http" || url.scheme === "https";
  if (web && !local && !url.path.endsWith(".git")) return undefined;
  const remote = local ? url.remote.slice("https://".length) : url.remote;
  const ref: GitRef = {
    remote,
    shortName: remote.slice(remote.lastIndexOf("/") + 1).replace(/\.git$/, ""),
    ref: url.fragment?.ref ?? "",
    checksum: "",
    subDir: url.fragment?.subdir ?? "",
    indistinguishableFromLocal: local,
    unencryptedTCP: !local && (url.scheme === "http" || url.scheme === "git"),
    keepGitDir: undefined,
    submodules: undefined,
    mtime: "",
    fetchByCommit: false,
  };
  readQuery(ref, url.query ?? new Map());
  return ref;
}

/** A URL of a scheme that git speaks, or scp's form; undefined for anything else. */
export function parseGitURL(text: string): GitURL | undefined {
  const [, scheme, user = "", host = "", path = "", query, fragment] = urlForm.exec(text) ?? [];
  if (scheme !== undefined) {
    const lower = scheme.toLowerCase();
    if (lower !== "http" && lower !== "https" && lower !== "ssh" && lower !== "git") return undefined;
    const remote = `${lower}://${user === "" ? "" : `${user}@`}${host}${path}`;
    return { scheme: lower, host, path, user, remote, ...parts(query, fragment) };
  }
  const scp = scpForm.exec(text);
  if (scp === null) return undefined;
  const [, login = "", server = "", file = "", ask, mark] = scp;
  return {
    scheme: "ssh",
    host: server,
    path: file,
    user: login,
    remote: `${login}@${server}:${file}`,
    ...parts(ask, mark),
  };
}

/** `remote#ref`, with `subdir` `remote#ref:subdir`; undefined when the text is no git repository. */
export function fragmentForm(text: string, options: { subdir?: boolean } = {}): string | undefined {
  const ref = parseGitRef(text);
  if (ref === undefined) return undefined;
  const subdir = options.subdir ? ref.subDir.replace(/^\/+/, "") : "";
  const fragment = subdir === "" ? ref.ref : `${ref.ref}:${subdir}`;
  return fragment === "" ? ref.remote : `${ref.remote}#${fragment}`;
}

/** A whole commit ID, SHA-1 or SHA-256. */
export function isCommitID(text: string): boolean {
  return /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(text);
}

function parts(query: string | undefined, fragment: string | undefined): Pick<GitURL, "query" | "fragment"> {
  let values: Map<string, string[]> | undefined;
  if (query !== undefined && query !== "") {
    values = new Map();
    for (const [key, value] of new URLSearchParams(query)) values.set(key, [...(values.get(key) ?? []), value]);
  }
  if (fragment === undefined || fragment === "") return { query: values, fragment: undefined };
  const colon = fragment.indexOf(":");
  const [ref, subdir] = colon < 0 ? [fragment, ""] : [fragment.slice(0, colon), fragment.slice(colon + 1)];
  return { query: values, fragment: { ref, subdir } };
}

function readQuery(ref: GitRef, query: ReadonlyMap<string, string[]>): void {
  let tag = "";
  let branch = "";
  const setRef = (value: string): void => {
    if (ref.ref !== "" && ref.ref !== value)
      throw invalid(`ref conflicts: ${JSON.stringify(ref.ref)} vs ${JSON.stringify(value)}`);
    ref.ref = value;
  };
  for (const [key, values] of query) {
    const [value = ""] = values;
    if (values.length > 1) throw invalid(`query ${JSON.stringify(key)} has multiple values`);
    if (value === "" && !["submodules", "keep-git-dir", "fetch-by-commit"].includes(key) && knownKeys.has(key))
      throw invalid(`query ${JSON.stringify(key)} has no value`);
    switch (key) {
      case "ref":
        setRef(value);
        break;
      case "tag":
        tag = value.startsWith("refs/tags/") ? value : `refs/tags/${value}`;
        break;
      case "branch":
        branch = value.startsWith("refs/heads/") ? value : `refs/heads/${value}`;
        break;
      case "subdir":
        if (ref.subDir !== "" && ref.subDir !== value)
          throw invalid(`subdir conflicts: ${JSON.stringify(ref.subDir)} vs ${JSON.stringify(value)}`);
        ref.subDir = value;
        break;
      case "checksum":
      case "commit":
        ref.checksum = value;
        break;
      case "keep-git-dir":
        ref.keepGitDir = truth(key, value);
        break;
      case "submodules":
        ref.submodules = truth(key, value);
        break;
      case "fetch-by-commit":
        ref.fetchByCommit = truth(key, value);
        break;
      case "mtime":
        if (value !== "checkout" && value !== "commit") throw invalid(`invalid mtime value: ${JSON.stringify(value)}`);
        ref.mtime = value;
        break;
      default:
        throw invalid(`unexpected query ${JSON.stringify(key)}`);
    }
  }
  if (tag !== "") {
    if (branch !== "") throw invalid("branch conflicts with tag");
    setRef(tag);
  } else if (branch !== "") setRef(branch);
}

const knownKeys: ReadonlySet<string> = new Set([
  "ref",
  "tag",
  "branch",
  "subdir",
  "checksum",
  "commit",
  "keep-git-dir",
  "submodules",
  "fetch-by-commit",
  "mtime",
]);

function truth(key: string, value: string): boolean {
  const read = value === "" ? true : parseBool(value);
  if (read === undefined) throw invalid(`invalid ${key} value: ${JSON.stringify(value)}`);
  return read;
}

function invalid(message: string): SlipwayError {
  return new SlipwayError("INVALID_GIT_URL", message);
}
