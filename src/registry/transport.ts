import { SlipwayError } from "../oci/SlipwayError.ts";
import { type Authorizer, createAuthorizer } from "./authorize.ts";
import { type Credentials, findCredentials } from "./credentials.ts";
import { isTransientStatus, type Patience, retryAfter, retrying, Transient, usual } from "./retry.ts";
import { findTls, type HostTls } from "./tls.ts";

export interface RegistryOptions {
  /** As references name it: `docker.io`, `127.0.0.1:5000`. */
  host: string;
  /** `http://host:port`, `host` or `host/prefix-of-repositories`; tried in order before the host itself, for what is read. */
  mirrors?: string[];
  /** What is said of a mirror's host, over what is said of the registry. */
  ofMirror?: (host: string) => Pick<RegistryOptions, "http" | "tlsVerify">;
  /** The host itself is not read from. */
  mirrorsAlone?: boolean;
  /** Plain http also where the host is not on loopback; false: https on loopback as well. */
  http?: boolean;
  /** False: whatever certificate the host shows is taken, and plain http where it speaks no TLS. */
  tlsVerify?: boolean;
  signal: AbortSignal;
  credentials?: (host: string, repository: string) => Promise<Credentials | undefined>;
  /** Folders of `<host>/` with `*.crt`, `*.cert`, `*.key`. */
  certificates?: readonly string[];
  patience?: Patience;
}

export interface Ask {
  method?: "GET" | "HEAD" | "POST" | "PATCH" | "PUT" | "DELETE";
  /** Below `/v2/`; or a whole URL that the registry has given. */
  path: string;
  /** Whose credentials are taken. */
  repository: string;
  /** What a token must allow: `repository:NAME:ACTIONS`, blank between several. */
  scope: string;
  headers?: Record<string, string>;
  /** Made anew for each try; calls `alive` when a piece of it goes out. */
  body?: (alive: () => void) => Uint8Array | ReadableStream<Uint8Array>;
  /** It is not sent again by itself: the caller has to find out how far it came. */
  once?: boolean;
  /** Milliseconds without a sign of life, where the usual are too short. */
  stall?: number;
}

/** One host that speaks the distribution protocol. */
export interface Endpoint {
  readonly host: string;
  /** An absolute URL of what the host has named, relative to its own. */
  resolve(location: string): string;
  /**
   * Asks with authorization, follows redirects, and tries again what may succeed later. Any final status comes back.
   * @throws SlipwayError `UNAUTHORIZED`; `Transient` where tries are used up
   */
  ask(request: Ask): Promise<Response>;
}

const MAX_REDIRECTS = 10;

export function createEndpoint(written: string, options: RegistryOptions): Endpoint {
  const { signal, patience = usual } = options;
  const url = /^https?:\/\//.test(written) ? new URL(written) : undefined;
  const slash = written.indexOf("/");
  // A mirror that keeps another registry's repositories below a path of its own.
  const prefix = url === undefined && slash >= 0 ? `${written.slice(slash + 1).replace(/\/+$/, "")}/` : "";
  const named = url?.host ?? (slash < 0 ? written : written.slice(0, slash));
  const host = named === "docker.io" ? "registry-1.docker.io" : named;
  const path = url === undefined ? "" : url.pathname.replace(/\/+$/, "").replace(/\/v2$/, "");
  const find = options.credentials ?? findCredentials;
  const known = new Map<string, Authorizer>();
  let found: HostTls | undefined;
  /** Read when it is needed first: plain http needs none. */
  const tls = (): HostTls => {
    found ??= findTls(named, options);
    return found;
  };
  /** The first is what is believed until the host shows otherwise. */
  const schemes = schemesOf(url, named, options, () => tls().configured);
  let base = `${schemes[0]}://${host}${path}`;

  function authorizerFor(repository: string): Authorizer {
    let authorizer = known.get(repository);
    if (authorizer === undefined) {
      authorizer = createAuthorizer({
        host: named,
        secure: () => base.startsWith("https:"),
        credentials: () => find(named, repository),
        signal,
        tls,
      });
      known.set(repository, authorizer);
    }
    return authorizer;
  }

  async function authorized(request: Ask): Promise<Response> {
    const authorizer = authorizerFor(request.repository);
    for (let answered = 0; ; answered++) {
      const authorization = await authorizer.header(request.scope);
      const response = await send(request, authorization === undefined ? {} : { Authorization: authorization });
      const challenge = response.headers.get("www-authenticate");
      if (response.status === 401 && challenge !== null && answered < 2) {
        await response.body?.cancel();
        if (await authorizer.answer(challenge, request.scope, authorization)) continue;
      }
      if (isTransientStatus(response.status)) {
        await response.body?.cancel();
        throw new Transient(`${named} answered ${response.status}`, retryAfter(response));
      }
      return response;
    }
  }

  /** Redirects are followed by hand: the Authorization header is the registry's and nobody else's. */
  async function send(request: Ask, authorization: Record<string, string>): Promise<Response> {
    const { method = "GET", headers = {} } = request;
    let target = absolute(request.path);
    let own = new URL(target).host === host ? { ...headers, ...authorization } : headers;
    for (let hops = 0; hops < MAX_REDIRECTS; hops++) {
      const response = await once(request, method, target, own);
      const location = response.headers.get("location");
      if (![301, 302, 303, 307, 308].includes(response.status) || location === null) return response;
      await response.body?.cancel();
      const next = new URL(location, target);
      if (next.protocol === "http:" && target.startsWith("https:")) {
        throw new SlipwayError("INSECURE_REDIRECT", `${named} redirects from https to plain http (${next.host})`);
      }
      if (next.host !== new URL(target).host) {
        const { Authorization: _, ...rest } = own as Record<string, string>;
        own = rest;
      }
      target = next.href;
    }
    throw new SlipwayError("REGISTRY_FAILED", `${named} redirects without end`);
  }

  async function once(
    request: Ask,
    method: string,
    target: string,
    headers: Record<string, string>,
  ): Promise<Response> {
    const wait = request.stall ?? patience.stall;
    const stalled = new AbortController();
    const expire = () => stalled.abort(new Error(`no answer for ${wait / 1000} s`));
    let timer = setTimeout(expire, wait);
    const alive = (): void => {
      clearTimeout(timer);
      timer = setTimeout(expire, wait);
    };
    try {
      const body = request.body?.(alive);
      const response = await fetch(target, {
        method,
        headers,
        redirect: "manual",
        signal: AbortSignal.any([signal, stalled.signal]),
        decompress: false,
        ...(body === undefined ? {} : { body }),
        ...(target.startsWith("https:") ? { tls: new URL(target).host === host ? tls().own : tls().others } : {}),
      } as RequestInit);
      const other = await otherScheme(response, target);
      if (other === undefined) return response;
      return await once(request, method, other, headers);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof Transient || error instanceof SlipwayError) throw error;
      if (stalled.signal.aborted) throw new Transient((stalled.signal.reason as Error).message, undefined, error);
      const plain = plainInstead(error, target);
      if (plain !== undefined) return await once(request, method, plain, headers);
      throw new Transient(reason(error), undefined, error, !isFinal(error));
    } finally {
      clearTimeout(timer);
    }
  }

  /** A host of whom plain http was assumed, and who says that it speaks TLS. Nothing secret has been sent to it so far. */
  async function otherScheme(response: Response, target: string): Promise<string | undefined> {
    if (response.status !== 400 || !target.startsWith("http:") || !schemes.includes("https")) return undefined;
    if (response.headers.has("docker-distribution-api-version")) return undefined;
    const text = await response.clone().text();
    if (!/https/i.test(text.slice(0, 1000))) return undefined;
    return change("https", target);
  }

  /** Only where the person has said that the host need not prove who it is. */
  function plainInstead(error: unknown, target: string): string | undefined {
    if (options.tlsVerify !== false || !target.startsWith("https:") || !schemes.includes("http")) return undefined;
    if (isFinal(error) && reason(error) === "no such host") return undefined;
    return base.startsWith("https:") ? change("http", target) : undefined;
  }

  function change(scheme: "http" | "https", target: string): string | undefined {
    if (new URL(target).host !== host) return undefined;
    schemes.splice(0, schemes.length, scheme);
    base = `${scheme}://${host}${path}`;
    return target.replace(/^https?/, scheme);
  }

  const absolute = (where: string): string => (/^https?:\/\//.test(where) ? where : `${base}/v2/${where}`);
  return {
    host: named,
    resolve: (location) => new URL(location, `${base}/`).href,
    ask(given) {
      const request = prefix === "" ? given : prefixed(given, prefix);
      return request.once ? authorized(request) : retrying(() => authorized(request), signal, patience);
    },
  };
}

function prefixed(request: Ask, prefix: string): Ask {
  const { path, repository, scope } = request;
  return {
    ...request,
    path: /^https?:\/\//.test(path) ? path : `${prefix}${path}`,
    repository: `${prefix}${repository}`,
    scope: scope.replace(/(?<=^| )repository:/g, `repository:${prefix}`),
  };
}

function schemesOf(
  url: URL | undefined,
  host: string,
  { http, tlsVerify }: RegistryOptions,
  hasCertificates: () => boolean,
): ("http" | "https")[] {
  if (url !== undefined) return [url.protocol === "http:" ? "http" : "https"];
  if (http !== undefined) return [http ? "http" : "https"];
  if (tlsVerify === false) return ["https", "http"];
  if (tlsVerify === true || !isLoopback(host) || hasCertificates()) return ["https"];
  return ["http", "https"];
}

function isLoopback(host: string): boolean {
  const name = host.replace(/:\d+$/, "");
  return name === "localhost" || name === "[::1]" || /^127\./.test(name);
}

function reason(error: unknown): string {
  const { code = "" } = error as { code?: string };
  if (code === "ConnectionRefused" || code === "ECONNREFUSED") return "connection refused";
  if (code === "ENOTFOUND" || /ENOTFOUND/.test(String(error))) return "no such host";
  if (isCertificateFault(error)) return `its certificate is not trusted (${(error as Error).message})`;
  return error instanceof Error ? error.message : String(error);
}

/** Nobody there, no such name, or the wrong one there: a second later it will be the same. */
function isFinal(error: unknown): boolean {
  return ["connection refused", "no such host"].includes(reason(error)) || isCertificateFault(error);
}

export function isCertificateFault(error: unknown): boolean {
  const { code = "" } = error as { code?: string };
  return /CERT|SELF_SIGNED|UNABLE_TO_(GET|VERIFY)|HOSTNAME/.test(code);
}
