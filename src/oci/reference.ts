import { type Digest, isDigest } from "./digest.ts";
import { SlipwayError } from "./SlipwayError.ts";

/** The parts of a reference as written, nothing added (distribution/reference). */
export interface WrittenReference {
  /** Registry host with its port: `docker.io`, `127.0.0.1:5000`. Absent: the name has one part, or the first is no host. */
  domain?: string;
  /** Repository within the registry: `library/alpine`. */
  path: string;
  tag?: string;
  digest?: Digest;
}

/** A name as Docker understands it, complete: `alpine` is `docker.io/library/alpine:latest`. */
export interface Reference extends WrittenReference {
  domain: string;
  /** `latest` where neither a tag nor a digest was written. */
  tag?: string;
  /** The one text for this reference. Where there is a digest it decides, and the tag is left out. */
  canonical: string;
}

const DEFAULT_DOMAIN = "docker.io";
// Path, tag, digest and the longest host name that DNS has are below 800; the time of a regular expression grows faster than its text.
const MAX_TEXT = 2048;
const MAX_PATH = 255; // distribution/reference: longest repository name

const label = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
const host = `(?:${label}(?:\\.${label})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?`;
const component = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*";
const repository = `${component}(?:/${component})*`;
const tagText = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}";
const algorithm = "[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*";
const digestText = `${algorithm}:[0-9a-fA-F]{32,}`;

const nameForm = new RegExp(`^(?:(${host})/)?(${repository})$`);
const tagForm = new RegExp(`^${tagText}$`);
const digestForm = new RegExp(`^${digestText}$`);
const referenceForm = new RegExp(`^((?:${host}/)?${repository})(?::(${tagText}))?(?:@(${digestText}))?$`);
const identifierForm = /^[0-9a-f]{64}$/;

/**
 * Reads a reference by the grammar of distribution/reference, without Docker's defaults.
 * @throws SlipwayError `INVALID_REFERENCE`
 */
export function readReference(text: string): WrittenReference {
  return readAs(text, text);
}

/** A name alone. @throws SlipwayError `INVALID_REFERENCE` */
export function readName(name: string): Pick<WrittenReference, "domain" | "path"> {
  return readNameAs(name, name);
}

/**
 * The text of a reference: name, then tag, then digest. Digests of any algorithm are put in.
 * @throws SlipwayError `INVALID_REFERENCE` for a malformed tag or digest
 */
export function formatReference(parts: Omit<WrittenReference, "digest"> & { digest?: string }): string {
  const { domain, path, tag, digest } = parts;
  const name = domain === undefined ? path : `${domain}/${path}`;
  if (tag !== undefined && !tagForm.test(tag)) throw invalid(`${name}:${tag}`, "its tag is malformed");
  if (digest !== undefined && !digestForm.test(digest)) throw invalid(`${name}@${digest}`, "its digest is malformed");
  return `${name}${tag === undefined ? "" : `:${tag}`}${digest === undefined ? "" : `@${digest}`}`;
}

/**
 * Reads a name with Docker's registry and `library/` put in, but no tag.
 * @throws SlipwayError `INVALID_REFERENCE`
 */
export function normalizeReference(text: string): WrittenReference & { domain: string } {
  if (identifierForm.test(text)) throw invalid(text, "64 hexadecimal digits are an image ID, not a name");
  const { domain, rest } = splitDomain(text);
  const path = rest.replace(/[:@].*$/s, "");
  if (path !== path.toLowerCase()) throw invalid(text, "repository name must be lowercase");
  return { ...readAs(`${domain}/${rest}`, text), domain };
}

/**
 * Reads a name by the grammar of distribution/reference with Docker's defaults.
 * @throws SlipwayError `INVALID_REFERENCE`
 */
export function parseReference(text: string): Reference {
  const { domain, path, tag, digest } = normalizeReference(text);
  if (digest !== undefined)
    return { domain, path, ...(tag === undefined ? {} : { tag }), digest, canonical: `${domain}/${path}@${digest}` };
  return { domain, path, tag: tag ?? "latest", canonical: formatReference({ domain, path, tag: tag ?? "latest" }) };
}

/** The image that a text names by a whole ID, 64 hexadecimal digits with or without `sha256:`. Undefined for anything else. */
export function readImageID(text: string): Digest | undefined {
  const digest = identifierForm.test(text) ? `sha256:${text}` : text;
  return isDigest(digest) ? digest : undefined;
}

/** A canonical name as people write it: without Docker Hub's host and without `library/`. The tag or digest stays. */
export function familiarName(canonical: string): string {
  const prefix = `${DEFAULT_DOMAIN}/`;
  if (!canonical.startsWith(prefix)) return canonical;
  const path = canonical.slice(prefix.length);
  return /^library\/[^/]+$/.test(path) ? path.slice("library/".length) : path;
}

/** What stands before the first slash is a host only when it looks like one: a dot, a port, `localhost`, or an upper-case letter. */
function splitDomain(name: string): { domain: string; rest: string } {
  const slash = name.indexOf("/");
  const first = slash < 0 ? "" : name.slice(0, slash);
  const isHost = slash >= 0 && (/[.:]/.test(first) || first === "localhost" || first !== first.toLowerCase());
  const domain = !isHost || first === "index.docker.io" ? DEFAULT_DOMAIN : first;
  const rest = isHost ? name.slice(slash + 1) : name;
  return { domain, rest: domain === DEFAULT_DOMAIN && !rest.includes("/") ? `library/${rest}` : rest };
}

/** `shown` is what errors name: the text before defaults were put in. */
function readAs(text: string, shown: string): WrittenReference {
  const parts = text.length > MAX_TEXT ? null : referenceForm.exec(text);
  if (parts === null) {
    const upper = text.length <= MAX_TEXT && referenceForm.test(text.toLowerCase());
    throw invalid(shown, upper ? "repository name must be lowercase" : undefined);
  }
  const [, name = "", tag, digest] = parts;
  const written: WrittenReference = readNameAs(name, shown);
  if (tag !== undefined) written.tag = tag;
  if (digest !== undefined) written.digest = knownDigest(digest, shown);
  return written;
}

function readNameAs(name: string, shown: string): Pick<WrittenReference, "domain" | "path"> {
  const [, domain, path] = name.length > MAX_TEXT ? [] : (nameForm.exec(name) ?? []);
  if (path === undefined) throw invalid(shown);
  if (path.length > MAX_PATH) throw invalid(shown, `repository name must not be more than ${MAX_PATH} characters`);
  return domain === undefined ? { path } : { domain, path };
}

function knownDigest(digest: string, text: string): Digest {
  if (isDigest(digest)) return digest;
  if (!digest.startsWith("sha256:")) throw invalid(text, "unsupported digest algorithm");
  throw invalid(text, `invalid checksum digest ${digest.length === 7 + 64 ? "format" : "length"}`);
}

function invalid(text: string, why?: string): SlipwayError {
  const shown = JSON.stringify(text.length > MAX_TEXT ? `${text.slice(0, 60)}…` : text);
  return new SlipwayError(
    "INVALID_REFERENCE",
    `invalid reference format: ${shown}${why === undefined ? "" : `: ${why}`}`,
    {
      hint: "A name is [HOST[:PORT]/]REPOSITORY[:TAG][@sha256:DIGEST].",
    },
  );
}
