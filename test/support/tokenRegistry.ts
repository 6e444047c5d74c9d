/** What a client did, for assertions. */
export interface TokenRegistry {
  readonly url: string;
  readonly host: string;
  /** `METHOD path` of each request that carried a good token, in order. */
  readonly granted: string[];
  /** Scopes of the tokens that were handed out. */
  readonly scopes: string[];
  /** Requests to the storage host that carried an Authorization header: a client must not send its token there. */
  readonly leaks: string[];
  stop(): void;
}

/**
 * A registry in front of `upstream` that behaves as Docker Hub does: every request needs a bearer token for its repository, which a 401 says
 * where to get (distribution-spec, token authentication), and blobs are redirected to a storage host that takes no token.
 */
export function startTokenRegistry(upstream: string, credentials?: { user: string; password: string }): TokenRegistry {
  const granted: string[] = [];
  const scopes: string[] = [];
  const leaks: string[] = [];
  const tokens = new Map<string, string>();

  const storage = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const { pathname, search } = new URL(request.url);
      if (request.headers.has("authorization")) {
        leaks.push(`${request.method} ${pathname}`);
        return new Response("only one way to authenticate is allowed", { status: 400 });
      }
      return forward(request, `${upstream}${pathname}${search}`);
    },
  });

  const front = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const { pathname, search, searchParams } = new URL(request.url);
      if (pathname === "/token") return token(request, searchParams);
      const scope = scopeOf(request.method, pathname);
      const given = /^Bearer (.+)$/i.exec(request.headers.get("authorization") ?? "")?.[1];
      if (given === undefined || (scope !== undefined && !covers(tokens.get(given), scope))) return challenge(scope);
      granted.push(`${request.method} ${pathname}`);
      if (/\/blobs\/sha256:/.test(pathname) && (request.method === "GET" || request.method === "HEAD"))
        return new Response(null, {
          status: 307,
          headers: { location: `http://127.0.0.1:${storage.port}${pathname}` },
        });
      return forward(request, `${upstream}${pathname}${search}`);
    },
  });

  function token(request: Request, parameters: URLSearchParams): Response {
    const given = request.headers.get("authorization");
    if (credentials !== undefined && given !== `Basic ${btoa(`${credentials.user}:${credentials.password}`)}`)
      return Response.json({ details: "incorrect username or password" }, { status: 401 });
    if (parameters.get("service") !== "registry.docker.io") return new Response(null, { status: 400 });
    const scope = parameters.getAll("scope").join(" ");
    scopes.push(scope);
    const value = crypto.randomUUID();
    tokens.set(value, scope);
    return Response.json({ token: value, access_token: value, expires_in: 300, issued_at: new Date().toISOString() });
  }

  function challenge(scope: string | undefined): Response {
    const realm = `http://127.0.0.1:${front.port}/token`;
    const parameters = [`realm="${realm}"`, 'service="registry.docker.io"'];
    if (scope !== undefined) parameters.push(`scope="${scope}"`);
    return Response.json(
      { errors: [{ code: "UNAUTHORIZED", message: "authentication required" }] },
      { status: 401, headers: { "www-authenticate": `Bearer ${parameters.join(",")}` } },
    );
  }

  return {
    url: `http://127.0.0.1:${front.port}`,
    host: `127.0.0.1:${front.port}`,
    granted,
    scopes,
    leaks,
    stop() {
      front.stop(true);
      storage.stop(true);
    },
  };
}

function scopeOf(method: string, pathname: string): string | undefined {
  const name = /^\/v2\/(.+?)\/(?:manifests|blobs|tags)\//.exec(pathname)?.[1];
  if (name === undefined) return undefined;
  return `repository:${name}:${method === "GET" || method === "HEAD" ? "pull" : "pull,push"}`;
}

/** Whether a token's scopes (`repository:NAME:ACTIONS`, blank between) hold all actions that `wanted` names. */
function covers(held: string | undefined, wanted: string): boolean {
  const actionsAt = wanted.lastIndexOf(":");
  const name = wanted.slice(0, actionsAt);
  return wanted
    .slice(actionsAt + 1)
    .split(",")
    .every((action) =>
      (held ?? "").split(" ").some(
        (scope) =>
          scope.startsWith(`${name}:`) &&
          scope
            .slice(name.length + 1)
            .split(",")
            .includes(action),
      ),
    );
}

async function forward(request: Request, url: string): Promise<Response> {
  const headers = new Headers(request.headers);
  headers.delete("authorization");
  headers.delete("host");
  const body = request.method === "GET" || request.method === "HEAD" ? null : await request.arrayBuffer();
  const response = await fetch(url, { method: request.method, headers, body, redirect: "manual", decompress: false });
  return new Response(response.body, { status: response.status, headers: response.headers });
}
