import { askHelper, helperFor } from "../../registry/credentialHelper.ts";
import { authFiles, changeAuthFile, readAuthFile } from "../../registry/credentialFile.ts";
import { type Credentials, findCredentials, hostKeys } from "../../registry/credentials.ts";
import { createRegistry } from "../../registry/createRegistry.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import type { EngineConfig } from "../Engine.ts";

export interface LoginOptions {
  /** `host` or `host/path`; what a URL has beside them is left out. Docker Hub where not said. */
  server?: string;
  authFile?: string;
  tlsVerify?: boolean;
}

/** What a login needs of the engine: no store. */
export interface LoginContext {
  config: Pick<EngineConfig, "registries">;
  signal: AbortSignal;
  env: Record<string, string | undefined>;
}

export interface Server {
  host: string;
  /** Beside the host: only repositories below it are meant. */
  path: string;
}

export function serverOf(text = ""): Server {
  const [host = "", ...rest] = text
    .replace(/^https?:\/\//, "")
    .replace(/\/+$/, "")
    .split("/");
  if (host === "" || /^(?:index\.|registry-1\.)?docker\.io$/.test(host)) return { host: "docker.io", path: "" };
  return { host, path: /^v[12]$/.test(rest.join("/")) ? "" : rest.join("/") };
}

/** Credentials that are known for the server. */
export function knownCredentials(
  context: LoginContext,
  server: Server,
  options: LoginOptions,
): Promise<Credentials | undefined> {
  return findCredentials(server.host, server.path, context.env, existing(options.authFile));
}

/** A file that `login` is to make is no file to read yet. */
function existing(authFile: string | undefined): string | undefined {
  return authFile !== undefined && readAuthFile(authFile) !== undefined ? authFile : undefined;
}

/** Asks the registry whether it takes them. @throws SlipwayError `UNAUTHORIZED`, `REGISTRY_UNREACHABLE` */
export async function checkCredentials(
  { config, signal }: LoginContext,
  { host }: Server,
  credentials: Credentials,
  { tlsVerify }: LoginOptions,
): Promise<void> {
  const { http, tlsVerify: configured } = config.registries[host] ?? {};
  const verify = tlsVerify ?? configured;
  await createRegistry({
    host,
    ...(http === undefined ? {} : { http }),
    ...(verify === undefined ? {} : { tlsVerify: verify }),
    credentials: async () => credentials,
    signal,
  }).ping();
}

/**
 * Keeps them: with the credential helper that the file names for the host, else in the file. Returns the file where they lie in plain text in it.
 * @throws SlipwayError `CREDENTIALS_NOT_KEPT`
 */
export async function saveCredentials(
  { env }: LoginContext,
  server: Server,
  { username = "", password = "" }: Credentials,
  options: LoginOptions,
): Promise<string | undefined> {
  const file = fileOf(env, options);
  const keys = hostKeys(server.host);
  const key = server.path === "" ? (keys[0] as string) : `${server.host}/${server.path}`;
  const found = helperFor(readAuthFile(file) ?? {}, keys);
  if (found !== undefined) {
    const input = JSON.stringify({ ServerURL: key, Username: username, Secret: password });
    if ((await askHelper(found.helper, "store", input, env)) === undefined)
      throw new SlipwayError(
        "CREDENTIALS_NOT_KEPT",
        `docker-credential-${found.helper}, which ${file} names, did not keep the credentials`,
      );
  }
  changeAuthFile(file, (config) => {
    const auth = Buffer.from(`${username}:${password}`).toString("base64");
    config.auths = { ...config.auths, [key]: found === undefined ? { auth } : {} };
  });
  return found === undefined ? file : undefined;
}

/** False where there were none. */
export async function removeCredentials(
  { env }: LoginContext,
  server: Server,
  options: LoginOptions,
): Promise<boolean> {
  const file = fileOf(env, options);
  const config = readAuthFile(file);
  if (config === undefined) return false;
  const keys = server.path === "" ? hostKeys(server.host) : [`${server.host}/${server.path}`];
  const found = helperFor(config, hostKeys(server.host));
  const erased = found !== undefined && (await askHelper(found.helper, "erase", keys[0] as string, env)) !== undefined;
  const there = keys.filter((key) => Object.hasOwn(config.auths ?? {}, key));
  if (there.length > 0)
    changeAuthFile(file, (now) => {
      for (const key of there) delete now.auths?.[key];
    });
  return there.length > 0 || erased;
}

function fileOf(env: Record<string, string | undefined>, { authFile }: LoginOptions): string {
  const file = authFile ?? authFiles(env)[0]?.file;
  if (file === undefined)
    throw new SlipwayError("CREDENTIALS_NOT_KEPT", "there is no place for the credentials", {
      hint: "Set HOME, or name a file by --authfile.",
    });
  return file;
}
