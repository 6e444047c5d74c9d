import { SlipwayError } from "../oci/SlipwayError.ts";
import type { Credentials } from "./credentials.ts";
import { parseChallenges } from "./parseChallenges.ts";
import { isTransientStatus, retryAfter, Transient, usual } from "./retry.ts";
import { covers, unite } from "./scope.ts";
import type { HostTls } from "./tls.ts";

interface Token {
  value: string;
  scope: string;
  /** Milliseconds since the epoch. */
  expires: number;
}

export interface Authorizer {
  /** The Authorization header for a request in `scope`, when one is known. Waits for one that is on its way. */
  header(scope: string): Promise<string | undefined>;
  /**
   * Answers a 401: asks for what its challenge names. `sent` is the header that was refused. False where nothing more can be said than was.
   * @throws SlipwayError `UNAUTHORIZED`
   */
  answer(challenge: string, scope: string, sent: string | undefined): Promise<boolean>;
}

/** Tokens without a life time are kept for a minute (distribution, token authentication specification). */
const DEFAULT_LIFE_S = 60;

/**
 * Bearer tokens (GET, or the oauth2 POST with a refresh token), Basic, and anonymous tokens, for one registry host. A token is kept as long
 * as it lives and serves every request that it covers; those that need the same one at the same time ask for it once.
 */
export function createAuthorizer(options: {
  host: string;
  /** Whether the registry itself is asked by https. */
  secure: () => boolean;
  credentials: () => Promise<Credentials | undefined>;
  signal: AbortSignal;
  /** What the registry is asked with; its token server, too, where it is on the same host. */
  tls: () => HostTls;
}): Authorizer {
  const { host, secure, credentials, signal, tls } = options;
  const tokens = new Map<string, Token>();
  const underway = new Map<string, Promise<boolean>>();
  let basic: string | undefined;

  /** The token server is one more that may be busy or away for a moment. */
  async function ask(url: URL, init: RequestInit): Promise<Response> {
    let response: Response;
    const sameHost = url.hostname === new URL(`http://${host}`).hostname;
    try {
      response = await fetch(url, {
        ...init,
        signal: AbortSignal.any([signal, AbortSignal.timeout(usual.stall)]),
        ...(url.protocol === "https:" ? { tls: sameHost ? tls().own : tls().others } : {}),
      } as RequestInit);
    } catch (error) {
      signal.throwIfAborted();
      throw new Transient(
        `its token server ${url.host}: ${error instanceof Error ? error.message : error}`,
        undefined,
        error,
      );
    }
    if (!isTransientStatus(response.status)) return response;
    await response.body?.cancel();
    throw new Transient(`its token server ${url.host} answered ${response.status}`, retryAfter(response));
  }

  async function bearer(parameters: Record<string, string>, scope: string): Promise<boolean> {
    const { realm, service } = parameters;
    if (realm === undefined) return false;
    const url = new URL(realm);
    const own = await credentials();
    if (own?.registryToken !== undefined) {
      tokens.set(scope, { value: own.registryToken, scope, expires: Number.POSITIVE_INFINITY });
      return true;
    }
    if (url.protocol === "http:" && secure() && own !== undefined) {
      throw new SlipwayError(
        "UNAUTHORIZED",
        `${host} is asked by https and sends to ${url.host} by plain http for a token: no credentials go there`,
      );
    }
    // The request's own scope may say more than the challenge (a push after a look), or less.
    const wanted = unite(parameters.scope ?? "", scope);
    let response: Response;
    if (own?.identityToken !== undefined) {
      const body = new URLSearchParams({
        grant_type: "refresh_token",
        refresh_token: own.identityToken,
        client_id: "slipway",
        scope: wanted,
        ...(service === undefined ? {} : { service }),
      });
      response = await ask(url, { method: "POST", body });
    } else {
      if (service !== undefined) url.searchParams.set("service", service);
      for (const each of wanted.split(" ")) if (each !== "") url.searchParams.append("scope", each);
      const headers: Record<string, string> = {};
      if (own?.username !== undefined) headers.Authorization = basicHeader(own);
      response = await ask(url, { headers });
    }
    if (!response.ok) {
      await response.body?.cancel();
      throw new SlipwayError(
        "UNAUTHORIZED",
        `${host} gives no token for ${wanted || "this request"}: ${url.host} answered ${response.status}`,
        {
          hint:
            own === undefined
              ? `Log in: slipway login ${host}`
              : `Check the credentials for ${host}, or log in anew: slipway login ${host}`,
        },
      );
    }
    const said = (await response.json().catch(() => ({}))) as {
      token?: string;
      access_token?: string;
      expires_in?: number;
    };
    const value = said.token ?? said.access_token;
    if (value === undefined) return false;
    // A token is given up a little before its time: the clocks may differ, and the request takes a while.
    const expires = Date.now() + Math.max(10, (said.expires_in ?? DEFAULT_LIFE_S) - 10) * 1000;
    tokens.set(wanted, { value, scope: wanted, expires });
    return true;
  }

  function tokenFor(scope: string): Token | undefined {
    const now = Date.now();
    for (const [key, token] of tokens) {
      if (token.expires <= now) tokens.delete(key);
      else if (covers(token.scope, scope)) return token;
    }
    return undefined;
  }

  return {
    async header(scope) {
      for (const [coming, promise] of underway) if (covers(coming, scope)) await promise.catch(() => false);
      const token = tokenFor(scope);
      return token === undefined ? basic : `Bearer ${token.value}`;
    },
    async answer(challenge, scope, sent) {
      const challenges = parseChallenges(challenge);
      const forBearer = challenges.find((each) => each.scheme === "bearer");
      if (forBearer !== undefined) {
        const held = tokenFor(scope);
        if (held !== undefined) {
          // Another request has fetched one while this was under way.
          if (sent !== `Bearer ${held.value}`) return true;
          tokens.delete(held.scope);
        }
        const more = unite(forBearer.parameters.scope ?? "", scope);
        let asking = underway.get(more);
        if (asking === undefined) {
          asking = bearer(forBearer.parameters, scope).finally(() => underway.delete(more));
          underway.set(more, asking);
        }
        // A token that was just given and is refused says no more than "no".
        return (await asking) && held === undefined;
      }
      if (challenges.some((each) => each.scheme === "basic") && (basic === undefined || sent !== basic)) {
        const own = await credentials();
        if (own?.username === undefined) return false;
        basic = basicHeader(own);
        return true;
      }
      return false;
    },
  };
}

function basicHeader({ username = "", password = "" }: Credentials): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}
