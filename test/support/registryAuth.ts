import { createPrivateKey, randomUUID, sign, X509Certificate } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sh } from "./shell.ts";

/** An authority with certificates for 127.0.0.1 and for a client, as PEM files of `directory`: ca.crt, server.crt/.key, client.crt/.key. */
export function makeCertificates(directory: string): void {
  const key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
  sh(
    directory,
    `openssl req -x509 ${key} -keyout ca.key -out ca.crt -days 2 -subj "/CN=test authority" 2>/dev/null
     printf 'subjectAltName=IP:127.0.0.1' > san
     for name in server client; do
       openssl req ${key} -keyout $name.key -out $name.csr -subj "/CN=$name" 2>/dev/null
       openssl x509 -req -in $name.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out $name.crt -days 2 -extfile san 2>/dev/null
     done`,
  );
}

/** docker-registry's `auth` for these accounts. */
export function htpasswd(directory: string, accounts: Record<string, string>): object {
  const path = join(directory, "htpasswd");
  const lines = Object.entries(accounts).map(
    ([user, password]) => `${user}:${Bun.password.hashSync(password, { algorithm: "bcrypt", cost: 4 })}`,
  );
  writeFileSync(path, `${lines.join("\n")}\n`);
  return { htpasswd: { realm: "test", path } };
}

export interface TokenServer {
  /** docker-registry's `auth` that believes this server. */
  auth: object;
  /** `METHOD grant scope` of what was asked, in order. */
  asked: string[];
  stop(): void;
}

/**
 * Hands out signed tokens as distribution's token specification says: by GET to `user` with `password`, by the oauth2 POST to who has the refresh
 * token. Works with the certificates of `makeCertificates`.
 */
export function startTokenServer(
  directory: string,
  account: { user: string; password: string; refreshToken: string },
): TokenServer {
  const asked: string[] = [];
  const certificate = new X509Certificate(readFileSync(join(directory, "server.crt")));
  const key = createPrivateKey(readFileSync(join(directory, "server.key")));
  const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

  function token(scopes: string[]): Response {
    const access = scopes
      .flatMap((scope) => scope.split(" "))
      .filter((scope) => scope !== "")
      .map((scope) => {
        const [type, name, actions = ""] = scope.split(":");
        return { type, name, actions: actions.split(",") };
      });
    const now = Math.floor(Date.now() / 1000);
    const text = [
      encode({ typ: "JWT", alg: "ES256", x5c: [certificate.raw.toString("base64")] }),
      encode({
        iss: "test",
        sub: account.user,
        aud: "tests",
        exp: now + 300,
        nbf: now - 5,
        iat: now,
        jti: randomUUID(),
        access,
      }),
    ].join(".");
    const signature = sign("sha256", Buffer.from(text), { key, dsaEncoding: "ieee-p1363" }).toString("base64url");
    return Response.json({ access_token: `${text}.${signature}`, expires_in: 300 });
  }

  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      if (request.method === "POST") {
        const form = new URLSearchParams(await request.text());
        asked.push(`POST ${form.get("grant_type")} ${form.get("scope")}`);
        if (form.get("refresh_token") !== account.refreshToken) return new Response(null, { status: 401 });
        return token([form.get("scope") ?? ""]);
      }
      const { searchParams } = new URL(request.url);
      const scopes = searchParams.getAll("scope");
      asked.push(`GET ${scopes.join(" ")}`);
      const basic = `Basic ${btoa(`${account.user}:${account.password}`)}`;
      return request.headers.get("authorization") === basic ? token(scopes) : new Response(null, { status: 401 });
    },
  });
  return {
    auth: {
      token: {
        realm: `http://127.0.0.1:${server.port}/token`,
        service: "tests",
        issuer: "test",
        rootcertbundle: join(directory, "ca.crt"),
      },
    },
    asked,
    stop: () => void server.stop(true),
  };
}
