import type { Descriptor } from "../oci/descriptor.ts";
import { type Digest, isDigest, sha256 } from "../oci/digest.ts";
import { MAX_MANIFEST_BYTES, manifestTypes } from "../oci/parseManifest.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { type Authorizer, createAuthorizer } from "./authorize.ts";
import { type Credentials, findCredentials } from "./credentials.ts";
import { isTransientStatus, retryAfter, retrying, sleep, STALL_MS, Transient } from "./retry.ts";

export interface RegistryOptions {
  /** As references name it: `docker.io`, `127.0.0.1:5000`. */
  host: string;
  /** `http://host:port` or `host`; tried in order before the host itself. */
  mirrors?: string[];
  /** Plain http also where the host is not on loopback. */
  http?: boolean;
  signal: AbortSignal;
  credentials?: (host: string, repository: string) => Promise<Credentials | undefined>;
}

export interface ResolvedManifest {
  bytes: Uint8Array;
  digest: Digest;
  mediaType: string;
}

/** One registry by the distribution protocol (distribution-spec v1.1), its mirrors before it. Requests that may succeed later are tried again. */
export interface Registry {
  /**
   * Manifest or index of a tag or digest, verified against the digest where one is given or said.
   * @throws SlipwayError `MANIFEST_UNKNOWN`, `UNAUTHORIZED`, `RATE_LIMITED`, `REGISTRY_UNREACHABLE`, `DIGEST_MISMATCH`, `MANIFEST_TOO_LARGE`
   */
  manifest(repository: string, reference: string): Promise<ResolvedManifest>;
  /** The blob's bytes. A connection that breaks or stalls is taken up again where it was. Not verified here: `store.blobs.ingest` does that. */
  blob(repository: string, blob: Descriptor): Promise<ReadableStream<Uint8Array>>;
}

interface Endpoint {
  /** `https://registry.example` */
  base: string;
  host: string;
  authorizer(repository: string): Authorizer;
}

export function createRegistry(options: RegistryOptions): Registry {
  const { signal } = options;
  const endpoints = [...(options.mirrors ?? []), options.host].map((each) => endpoint(each, options));

  async function request(
    at: Endpoint,
    repository: string,
    path: string,
    headers: Record<string, string>,
  ): Promise<Response> {
    const scope = `repository:${repository}:pull`;
    const authorizer = at.authorizer(repository);
    return retrying(async () => {
      for (let answered = 0; ; answered++) {
        const authorization = authorizer.header(scope);
        const response = await send(at, `${at.base}/v2/${repository}/${path}`, {
          ...headers,
          ...(authorization === undefined ? {} : { Authorization: authorization }),
        });
        const challenge = response.headers.get("www-authenticate");
        if (response.status === 401 && challenge !== null && answered < 2) {
          await response.body?.cancel();
          if (await authorizer.answer(challenge, scope)) continue;
        }
        if (isTransientStatus(response.status)) {
          await response.body?.cancel();
          throw new Transient(`${at.host} answered ${response.status}`, retryAfter(response));
        }
        return response;
      }
    }, signal);
  }

  /** Redirects are followed by hand: the Authorization header is the registry's and nobody else's. */
  async function send(at: Endpoint, url: string, headers: Record<string, string>): Promise<Response> {
    let target = url;
    let own = headers;
    for (let hops = 0; hops < 10; hops++) {
      const stalled = new AbortController();
      const timer = setTimeout(() => stalled.abort(new Error(`no answer for ${STALL_MS / 1000} s`)), STALL_MS);
      let response: Response;
      try {
        response = await fetch(target, {
          headers: own,
          redirect: "manual",
          signal: AbortSignal.any([signal, stalled.signal]),
          decompress: false,
        } as RequestInit);
      } catch (error) {
        signal.throwIfAborted();
        throw new Transient(reason(error), undefined, error, !isFinal(error));
      } finally {
        clearTimeout(timer);
      }
      const location = response.headers.get("location");
      if (![301, 302, 303, 307, 308].includes(response.status) || location === null) return response;
      await response.body?.cancel();
      const next = new URL(location, target);
      if (next.protocol === "http:" && target.startsWith("https:")) {
        throw new SlipwayError("INSECURE_REDIRECT", `${at.host} redirects from https to plain http (${next.host})`);
      }
      if (next.host !== new URL(target).host) {
        const { Authorization: _, ...rest } = own;
        own = rest;
      }
      target = next.href;
    }
    throw new SlipwayError("REGISTRY_FAILED", `${at.host} redirects without end`);
  }

  /** Each endpoint in turn: a mirror that fails in whatever way leads to the next, the host's own failure is the one that is told. */
  async function first<T>(work: (at: Endpoint) => Promise<T>): Promise<T> {
    let answer: unknown;
    for (const [i, at] of endpoints.entries()) {
      try {
        return await work(at);
      } catch (error) {
        signal.throwIfAborted();
        const isLast = i === endpoints.length - 1;
        if (!(error instanceof Transient)) {
          if (isLast) throw error;
          answer = error;
        } else if (isLast) {
          // Where the host itself cannot be asked, what a mirror has said is the better answer.
          throw answer ?? unreachable(at, error);
        }
      }
    }
    throw new Error("a registry has at least its own endpoint");
  }

  return {
    manifest: (repository, reference) =>
      first(async (at) => {
        const response = await request(at, repository, `manifests/${reference}`, { Accept: manifestTypes.join(", ") });
        if (!response.ok) throw await failure(at, response, `${options.host}/${repository}`, reference);
        const bytes = await bounded(response);
        const digest = sha256(bytes);
        const said = isDigest(reference) ? reference : response.headers.get("docker-content-digest");
        if (said !== null && said !== digest && isDigest(said)) {
          throw new SlipwayError("DIGEST_MISMATCH", `${at.host} gave ${digest} for the manifest ${said}`);
        }
        return { bytes, digest, mediaType: (response.headers.get("content-type") ?? "").split(";")[0]?.trim() ?? "" };
      }),
    blob: (repository, blob) =>
      first(async (at) => {
        const open = async (from: number): Promise<Opened> => {
          const headers: Record<string, string> = from > 0 ? { Range: `bytes=${from}-` } : {};
          const response = await request(at, repository, `blobs/${blob.digest}`, headers);
          if (!response.ok || response.body === null)
            throw await failure(at, response, `${options.host}/${repository}`, blob.digest);
          const reader = response.body.getReader() as ReadableStreamDefaultReader<Uint8Array>;
          // A server without ranges starts anew: what is known is read over.
          return { reader, skip: from > 0 && response.status !== 206 ? from : 0 };
        };
        return resumable(await open(0), { at, blob, open, signal });
      }),
  };
}

function endpoint(written: string, options: RegistryOptions): Endpoint {
  const url = /^https?:\/\//.test(written) ? new URL(written) : undefined;
  const named = url?.host ?? written;
  const host = named === "docker.io" ? "registry-1.docker.io" : named;
  const plain = url === undefined ? options.http === true || isLoopback(named) : url.protocol === "http:";
  const path = url === undefined ? "" : url.pathname.replace(/\/+$/, "").replace(/\/v2$/, "");
  const find = options.credentials ?? findCredentials;
  const known = new Map<string, Authorizer>();
  return {
    base: `${plain ? "http" : "https"}://${host}${path}`,
    host: named,
    authorizer(repository) {
      let authorizer = known.get(repository);
      if (authorizer === undefined) {
        authorizer = createAuthorizer({
          host: named,
          secure: !plain,
          credentials: () => find(named, repository),
          signal: options.signal,
        });
        known.set(repository, authorizer);
      }
      return authorizer;
    },
  };
}

function isLoopback(host: string): boolean {
  const name = host.replace(/:\d+$/, "");
  return name === "localhost" || name === "[::1]" || /^127\./.test(name);
}

async function bounded(response: Response): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  if (response.body !== null) {
    for await (const chunk of response.body) {
      chunks.push(chunk);
      length += chunk.length;
      if (length > MAX_MANIFEST_BYTES) {
        throw new SlipwayError("MANIFEST_TOO_LARGE", `a manifest of more than ${MAX_MANIFEST_BYTES} bytes`);
      }
    }
  }
  return Buffer.concat(chunks);
}

/** Breaks in a row, without a byte in between, after which a blob is given up. */
const MAX_RESUMES = 4;

interface Opened {
  reader: ReadableStreamDefaultReader<Uint8Array>;
  /** So many bytes come that are known already. */
  skip: number;
}

/** Goes on where a broken or stalled connection left off, as long as each attempt brings something. */
function resumable(
  first: Opened,
  source: { at: Endpoint; blob: Descriptor; open: (from: number) => Promise<Opened>; signal: AbortSignal },
): ReadableStream<Uint8Array> {
  const { at, blob, open, signal } = source;
  let { reader, skip } = first;
  let position = 0;
  let failures = 0;

  async function next(): Promise<Awaited<ReturnType<typeof reader.read>>> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const stall = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Transient(`nothing came for ${STALL_MS / 1000} s`)), STALL_MS);
    });
    try {
      return await Promise.race([reader.read(), stall]);
    } finally {
      clearTimeout(timer);
    }
  }

  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        for (;;) {
          try {
            const { done, value } = await next();
            if (done && position < blob.size) throw new Transient("the connection was closed too early");
            if (done) {
              controller.close();
              return;
            }
            failures = 0;
            const known = Math.min(skip, value.length);
            skip -= known;
            if (known === value.length) continue;
            const fresh = known === 0 ? value : value.subarray(known);
            position += fresh.length;
            controller.enqueue(fresh);
            return;
          } catch (error) {
            signal.throwIfAborted();
            void reader.cancel().catch(() => {});
            if (++failures > MAX_RESUMES) throw error instanceof Transient ? unreachable(at, error) : error;
            await sleep(200 * 2 ** failures, signal);
            ({ reader, skip } = await open(position));
          }
        }
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
}

async function failure(at: Endpoint, response: Response, repository: string, reference: string): Promise<SlipwayError> {
  const text = Buffer.from(await bounded(response).catch(() => new Uint8Array(0))).toString("utf8");
  let said = "";
  try {
    const parsed = JSON.parse(text) as { errors?: { code?: string; message?: string }[] };
    said = parsed.errors?.map((each) => each.message ?? each.code).join("; ") ?? "";
  } catch {
    // no distribution error document: the status has to do
  }
  const name = `${repository.replace(/^docker\.io\/(library\/)?/, "")}${isDigest(reference) ? "@" : ":"}${reference}`;
  const detail = said === "" ? "" : `: ${said}`;
  switch (response.status) {
    case 404:
      return new SlipwayError("MANIFEST_UNKNOWN", `${name} not found in ${at.host}${detail}`, {
        hint: "Check the name and the tag.",
      });
    case 401:
    case 403:
      return new SlipwayError("UNAUTHORIZED", `${at.host} does not allow to pull ${name}${detail}`, {
        hint: `The repository may not exist or may be private: put your credentials for ${at.host} into ~/.docker/config.json.`,
      });
    case 429:
      return new SlipwayError("RATE_LIMITED", `${at.host} answers no more for now (too many requests)${detail}`, {
        hint: "Wait a while, log in for a higher limit, or name a mirror in the configuration.",
      });
    default:
      return new SlipwayError("REGISTRY_FAILED", `${at.host} answered ${response.status} for ${name}${detail}`);
  }
}

function reason(error: unknown): string {
  const code = (error as { code?: string }).code;
  if (code === "ConnectionRefused" || code === "ECONNREFUSED") return "connection refused";
  if (code === "ENOTFOUND" || /ENOTFOUND/.test(String(error))) return "no such host";
  return error instanceof Error ? error.message : String(error);
}

/** Nobody there, or no such name: a second later it will be the same. */
function isFinal(error: unknown): boolean {
  return ["connection refused", "no such host"].includes(reason(error));
}

function unreachable(at: Endpoint, error: Transient): SlipwayError {
  if (error.message.endsWith("answered 429")) {
    return new SlipwayError("RATE_LIMITED", `${at.host} answers no more for now (too many requests)`, {
      hint: "Wait a while, log in for a higher limit, or name a mirror in the configuration.",
      cause: error,
    });
  }
  return new SlipwayError("REGISTRY_UNREACHABLE", `the registry ${at.host} cannot be reached: ${error.message}`, {
    hint: "Check the name, the network, and a proxy if there is one.",
    cause: error,
  });
}
