import { SlipwayError } from "../oci/SlipwayError.ts";
import type { Credentials } from "./credentials.ts";
import { parseChallenges } from "./parseChallenges.ts";
import { isTransientStatus, retryAfter, STALL_MS, Transient } from "./retry.ts";

interface Token {
  value: string;
  /** Milliseconds since the epoch. */
  expires: number;
}

export interface Authorizer {
  /** The Authorization header for a request in `scope`, when one is known. */
  header(scope: string): string | undefined;
  /** Answers a 401: asks for what its challenge names. False where nothing more can be said than was. @throws SlipwayError `UNAUTHORIZED` */
  answer(challenge: string, scope: string): Promise<boolean>;
}

/** Tokens without a life time are kept for a minute (distribution, token authentication specification). */
const DEFAULT_LIFE_S = 60;

/**
 * Bearer tokens (GET, or the oauth2 POST with a refresh token), Basic, and anonymous tokens, for one registry host. A token is kept
 * for its scope as long as it lives.
 */
export function createAuthorizer(options: {
  host: string;
  /** The registry itself is asked by https. */
  secure: boolean;
  credentials: () => Promise<Credentials | undefined>;
  signal: AbortSignal;
}): Authorizer {
  const { host, secure, credentials, signal } = options;
  const tokens = new Map<string, Token>();
  let basic: string | undefined;

  /** The token server is one more that may be busy or away for a moment. */
  async function ask(url: URL, init: RequestInit): Promise<Response> {
    let response: Response;
    try {
      response = await fetch(url, { ...init, signal: AbortSignal.any([signal, AbortSignal.timeout(STALL_MS)]) });
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
    if (url.protocol === "http:" && secure && own !== undefined) {
      throw new SlipwayError(
        "UNAUTHORIZED",
        `${host} is asked by https and sends to ${url.host} by plain http for a token: no credentials go there`,
      );
    }
    const wanted = parameters.scope ?? scope;
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
      throw new SlipwayError(
        "UNAUTHORIZED",
        `${host} gives no token for ${wanted || "this request"}: ${url.host} answered ${response.status}`,
        {
          hint:
            own === undefined
              ? `Log in: put your credentials for ${host} into ~/.docker/config.json (docker login ${host}).`
              : `Check the credentials for ${host}.`,
        },
      );
    }
    const said = (await response.json()) as { token?: string; access_token?: string; expires_in?: number };
    const value = said.token ?? said.access_token;
    if (value === undefined) return false;
    // A token is given up a little before its time: the clocks may differ, and the request takes a while.
    tokens.set(scope, { value, expires: Date.now() + Math.max(10, (said.expires_in ?? DEFAULT_LIFE_S) - 10) * 1000 });
    return true;
  }

  return {
    header(scope) {
      const token = tokens.get(scope);
      if (token !== undefined && token.expires > Date.now()) return `Bearer ${token.value}`;
      return basic;
    },
    async answer(challenge, scope) {
      const challenges = parseChallenges(challenge);
      const forBearer = challenges.find((each) => each.scheme === "bearer");
      if (forBearer !== undefined) {
        const held = tokens.get(scope);
        const fresh = held === undefined || held.expires <= Date.now();
        tokens.delete(scope);
        // A token that was just given and is refused says no more than "no".
        return (await bearer(forBearer.parameters, scope)) && fresh;
      }
      if (challenges.some((each) => each.scheme === "basic") && basic === undefined) {
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
