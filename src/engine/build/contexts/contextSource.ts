import { type GitRef, parseGitRef } from "../../../dockerfile/gitRef.ts";
import { SlipwayError } from "../../../oci/SlipwayError.ts";

/** What a build context is given as. */
export type ContextSource =
  | { type: "directory"; path: string }
  /** `text` is as it was written. */
  | { type: "git"; ref: GitRef; text: string }
  | { type: "url"; url: string }
  /** A tar, or the Dockerfile alone, on standard input. */
  | { type: "stdin" };

/** What has to be fetched first. */
export type RemoteSource = Exclude<ContextSource, { type: "directory" }>;

/** What `--build-context NAME=…` is given as: it can be an image, too. */
export type NamedContextSource =
  | Exclude<ContextSource, { type: "stdin" }>
  | { type: "image"; reference: string }
  | { type: "layout"; path: string; tag?: string; digest?: string };

/**
 * The context of a build, by buildx's rules: `-`, a git repository (`github.com/…` counts as one), a URL, else a directory.
 * @throws SlipwayError `INVALID_GIT_URL`
 */
export function parseContext(text: string): ContextSource {
  if (text === "-") return { type: "stdin" };
  return parseRemote(text) ?? { type: "directory", path: text };
}

/**
 * @throws SlipwayError `INVALID_GIT_URL`, `INVALID_CONTEXT`
 */
export function parseNamedContext(name: string, text: string): NamedContextSource {
  if (text.startsWith("docker-image://")) return { type: "image", reference: text.slice("docker-image://".length) };
  if (text.startsWith("oci-layout://")) return parseLayout(name, text.slice("oci-layout://".length));
  if (text.startsWith("target:"))
    throw new SlipwayError("INVALID_CONTEXT", `build context ${name}: target: is for bake files, not for build`, {
      hint: "Name the stage in the Dockerfile, or build it first and give docker-image://NAME.",
    });
  if (text === "" || text === "-")
    throw new SlipwayError("INVALID_CONTEXT", `build context ${name}: ${JSON.stringify(text)} names no files`);
  return parseRemote(text) ?? { type: "directory", path: text };
}

function parseRemote(
  text: string,
): { type: "git"; ref: GitRef; text: string } | { type: "url"; url: string } | undefined {
  const ref = parseGitRef(text);
  if (ref !== undefined) return { type: "git", ref, text };
  return /^https?:\/\//.test(text) ? { type: "url", url: text } : undefined;
}

/** `path`, `path:tag`, `path@digest`. */
function parseLayout(name: string, text: string): NamedContextSource {
  const at = text.lastIndexOf("@sha256:");
  if (at >= 0) return { type: "layout", path: text.slice(0, at), digest: text.slice(at + 1) };
  const colon = text.lastIndexOf(":");
  const tagged = colon > text.lastIndexOf("/");
  const path = tagged ? text.slice(0, colon) : text;
  if (path === "") throw new SlipwayError("INVALID_CONTEXT", `build context ${name}: oci-layout:// needs a path`);
  return tagged ? { type: "layout", path, tag: text.slice(colon + 1) } : { type: "layout", path };
}
