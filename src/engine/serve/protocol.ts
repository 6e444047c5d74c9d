import { type Digest, isDigest } from "../../oci/digest.ts";
import { isSlipwayError } from "../../oci/SlipwayError.ts";

/** Codes of the distribution specification ("Error Codes"). */
export type ErrorCode =
  | "BLOB_UNKNOWN"
  | "BLOB_UPLOAD_INVALID"
  | "BLOB_UPLOAD_UNKNOWN"
  | "DENIED"
  | "DIGEST_INVALID"
  | "MANIFEST_BLOB_UNKNOWN"
  | "MANIFEST_INVALID"
  | "MANIFEST_UNKNOWN"
  | "NAME_INVALID"
  | "NAME_UNKNOWN"
  | "PAGINATION_NUMBER_INVALID"
  | "SIZE_INVALID"
  | "TAG_INVALID"
  | "TOOMANYREQUESTS"
  | "UNKNOWN"
  | "UNSUPPORTED";

/** An answer that says no, in the form that the specification gives to errors. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly code: ErrorCode,
    message: string,
    readonly headers: Record<string, string> = {},
  ) {
    super(message);
  }

  response(): Response {
    const { code, message } = this;
    return Response.json({ errors: [{ code, message }] }, { status: this.status, headers: this.headers });
  }
}

/** What an error is to the client. Those of the store keep their words. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  if (isSlipwayError(error, "DIGEST_MISMATCH")) return new Refusal(400, "DIGEST_INVALID", error.message);
  if (isSlipwayError(error, "BLOB_NOT_FOUND", "BLOB_UNKNOWN", "LAYER_NOT_FOUND"))
    return new Refusal(404, "BLOB_UNKNOWN", error.message);
  if (isSlipwayError(error)) return new Refusal(error.code === "STORE_FULL" ? 507 : 500, "UNKNOWN", error.message);
  return new Refusal(500, "UNKNOWN", "the registry failed");
}

/** One of the ends of the protocol (distribution-spec, "Endpoints"), its parts checked. */
export type Route =
  | { end: "base" }
  | { end: "catalog" }
  | { end: "manifest"; name: string; reference: string; digest?: Digest }
  | { end: "blob"; name: string; digest: Digest }
  | { end: "uploads"; name: string }
  | { end: "upload"; name: string; session: string }
  | { end: "tags"; name: string }
  | { end: "referrers"; name: string; digest: Digest };

const nameForm = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*$/;
const MAX_NAME = 255; // distribution/reference
export const tagForm = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
const sessionForm = /^[0-9a-f-]{36}$/;

/** Undefined for a path that is none of the protocol. @throws Refusal `NAME_INVALID`, `DIGEST_INVALID`, `BLOB_UPLOAD_UNKNOWN` */
export function routeOf(path: string): Route | undefined {
  if (path === "/v2" || path === "/v2/") return { end: "base" };
  if (path === "/v2/_catalog") return { end: "catalog" };
  const [, name = "", rest = ""] =
    /^\/v2\/(.+?)\/((?:manifests|blobs|referrers)\/[^/]+|blobs\/uploads\/[^/]*|tags\/list)$/.exec(path) ?? [];
  if (rest === "") return undefined;
  if (name.length > MAX_NAME || !nameForm.test(name))
    throw new Refusal(400, "NAME_INVALID", `${JSON.stringify(name.slice(0, MAX_NAME))} is no name of a repository`);
  const [kind, what = "", session] = rest.split("/");
  if (kind === "tags") return { end: "tags", name };
  if (kind === "manifests") {
    if (tagForm.test(what)) return { end: "manifest", name, reference: what };
    if (!what.includes(":")) throw new Refusal(404, "MANIFEST_UNKNOWN", "that is no tag");
    const digest = digestOf(what);
    return { end: "manifest", name, reference: digest, digest };
  }
  if (kind === "referrers") return { end: "referrers", name, digest: digestOf(what) };
  if (what !== "uploads") return { end: "blob", name, digest: digestOf(what) };
  if (session === undefined || session === "") return { end: "uploads", name };
  if (!sessionForm.test(session)) throw new Refusal(404, "BLOB_UPLOAD_UNKNOWN", "there is no such upload");
  return { end: "upload", name, session };
}

/** @throws Refusal `DIGEST_INVALID` */
export function digestOf(text: string): Digest {
  if (isDigest(text)) return text;
  throw new Refusal(400, "DIGEST_INVALID", "the digest is not sha256:<64 hexadecimal digits>");
}

/** A page of a sorted list: what comes after `last`, at most `n`; and the link to the next one. @throws Refusal `PAGINATION_NUMBER_INVALID` */
export function pageOf(all: readonly string[], url: URL): { items: string[]; headers: Record<string, string> } {
  const last = url.searchParams.get("last");
  const text = url.searchParams.get("n");
  const after = last === null ? [...all] : all.filter((each) => each > last);
  if (text === null) return { items: after, headers: {} };
  if (!/^\d{1,9}$/.test(text)) throw new Refusal(400, "PAGINATION_NUMBER_INVALID", "n is not a whole number");
  const items = after.slice(0, Number(text));
  const end = items.at(-1);
  if (end === undefined || items.length === after.length) return { items, headers: {} };
  const next = new URLSearchParams({ n: text, last: end });
  return { items, headers: { Link: `<${url.pathname}?${next}>; rel="next"` } };
}

/** The part of `size` bytes that a `Range` header asks for; undefined: all of it. @throws Refusal where there is no such part */
export function rangeOf(header: string | null, size: number): { start: number; end: number } | undefined {
  // Several ranges at once, and other units, may be answered with everything (RFC 9110, 14.2).
  const [, first = "", last = ""] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? "") ?? [];
  if (first === "" && last === "") return undefined;
  const start = first === "" ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === "" || last === "" ? size : Math.min(size, Number(last) + 1);
  if (first !== "" && last !== "" && Number(last) < Number(first)) return undefined;
  if (start >= size || (first === "" && Number(last) === 0))
    throw new Refusal(416, "SIZE_INVALID", `the blob has ${size} bytes`, { "Content-Range": `bytes */${size}` });
  return { start, end };
}
