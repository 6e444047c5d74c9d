import { type Digest, isDigest } from "./digest.ts";
import { SlipwayError } from "./SlipwayError.ts";

/** A name as Docker understands it, complete: `alpine` is `docker.io/library/alpine:latest`. */
export interface Reference {
  /** Registry host with its port, as written: `docker.io`, `127.0.0.1:5000`. */
  domain: string;
  /** Repository within the registry: `library/alpine`. */
  path: string;
  /** `latest` where neither a tag nor a digest was written. */
  tag?: string;
  digest?: Digest;
  /** The one text for this reference. Where there is a digest it decides, and the tag is left out. */
  canonical: string;
}

const DEFAULT_DOMAIN = "docker.io";
const MAX_PATH = 255; // distribution/reference: longest repository name

const domainForm =
  /^(?:(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?$/;
const pathForm = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*$/;
const tagForm = /^\w[\w.-]{0,127}$/;
const identifierForm = /^[0-9a-f]{64}$/;

/**
 * Reads a name by the grammar of distribution/reference with Docker's defaults.
 * @throws SlipwayError `INVALID_REFERENCE`
 */
export function parseReference(text: string): Reference {
  if (identifierForm.test(text)) throw invalid(text, "64 hexadecimal digits are an image ID, not a name");
  const at = text.indexOf("@");
  const digest = at < 0 ? undefined : text.slice(at + 1);
  if (digest !== undefined && !isDigest(digest)) throw invalid(text, "what follows @ is not a sha256 digest");
  const named = at < 0 ? text : text.slice(0, at);
  const { domain, rest } = splitDomain(named);
  const colon = rest.indexOf(":");
  const path = colon < 0 ? rest : rest.slice(0, colon);
  const written = colon < 0 ? undefined : rest.slice(colon + 1);
  if (!domainForm.test(domain)) throw invalid(text, "its registry host is malformed");
  if (path !== path.toLowerCase()) throw invalid(text, "repository name must be lowercase");
  if (!pathForm.test(path)) throw invalid(text, "its repository name is malformed");
  if (path.length > MAX_PATH) throw invalid(text, "repository name must not be more than 255 characters");
  if (written !== undefined && !tagForm.test(written)) throw invalid(text, "its tag is malformed");
  const tag = written ?? (digest === undefined ? "latest" : undefined);
  return {
    domain,
    path,
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest }),
    canonical: `${domain}/${path}${digest === undefined ? `:${tag}` : `@${digest}`}`,
  };
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

function invalid(text: string, why: string): SlipwayError {
  return new SlipwayError("INVALID_REFERENCE", `invalid reference format: ${JSON.stringify(text)}: ${why}`, {
    hint: "A name is [HOST[:PORT]/]REPOSITORY[:TAG][@sha256:DIGEST].",
  });
}
