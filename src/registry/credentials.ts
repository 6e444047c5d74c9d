import { askHelper, helperFor } from "./credentialHelper.ts";
import { type AuthEntry, authFiles, type CredentialConfig, readAuthFile } from "./credentialFile.ts";

/** What a registry is told. Never part of a message or a log. */
export interface Credentials {
  username?: string;
  password?: string;
  /** Exchanged for access tokens (oauth2). */
  identityToken?: string;
  /** Sent as it is (`registrytoken`). */
  registryToken?: string;
}

/**
 * Credentials for `host` and `repository` from the files that `authFiles` lists, the first that has any. In a file a credential helper is
 * asked first, then the longest path-scoped key counts.
 * @throws SlipwayError `INVALID_CREDENTIALS_FILE`
 */
export async function findCredentials(
  host: string,
  repository: string,
  env: Record<string, string | undefined> = process.env,
  /** In place of all the others. */
  authFile?: string,
): Promise<Credentials | undefined> {
  for (const { file, needed } of authFile === undefined ? authFiles(env) : [{ file: authFile, needed: true }]) {
    const config = readAuthFile(file, needed);
    if (config === undefined) continue;
    const found = (await fromHelper(config, host, env)) ?? fromAuths(config, host, repository);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The key under which Docker keeps what belongs to Docker Hub. */
export const HUB_KEY = "https://index.docker.io/v1/";

/** The keys that stand for a host, the usual one first. */
export function hostKeys(host: string): string[] {
  return host === "docker.io"
    ? [HUB_KEY, "docker.io", "index.docker.io", "registry-1.docker.io"]
    : [host, `https://${host}`, `http://${host}`];
}

function fromAuths(config: CredentialConfig, host: string, repository: string): Credentials | undefined {
  const paths = repository.split("/");
  const scoped = repository === "" ? [] : paths.map((_, i) => `${host}/${paths.slice(0, paths.length - i).join("/")}`);
  for (const key of [...scoped, ...hostKeys(host)]) {
    const auths = config.auths ?? {};
    const entry = [key, `${key}/`, `${key}/v1/`, `${key}/v2/`]
      .map((each) => own(auths, each))
      .find((each) => each !== undefined);
    const found = entry === undefined ? undefined : toCredentials(entry);
    if (found !== undefined) return found;
  }
  return undefined;
}

function own(auths: Record<string, AuthEntry>, key: string): AuthEntry | undefined {
  return Object.hasOwn(auths, key) ? auths[key] : undefined;
}

function toCredentials({ auth, username, password, identitytoken, registrytoken }: AuthEntry): Credentials | undefined {
  if (registrytoken) return { registryToken: registrytoken };
  if (identitytoken) return { identityToken: identitytoken };
  if (auth) {
    const plain = Buffer.from(auth, "base64").toString("utf8");
    const colon = plain.indexOf(":");
    // Docker's own files end in a zero byte now and then.
    if (colon > 0) return { username: plain.slice(0, colon), password: plain.slice(colon + 1).replace(/\0+$/, "") };
  }
  return username ? { username, password: password ?? "" } : undefined;
}

async function fromHelper(
  config: CredentialConfig,
  host: string,
  env: Record<string, string | undefined>,
): Promise<Credentials | undefined> {
  const found = helperFor(config, hostKeys(host));
  if (found === undefined) return undefined;
  const text = await askHelper(found.helper, "get", found.key, env);
  if (text === undefined) return undefined;
  let said: { Username?: string; Secret?: string };
  try {
    said = JSON.parse(text) as typeof said;
  } catch {
    return undefined; // no answer in the helpers' language
  }
  if (said.Username === "<token>") return { identityToken: said.Secret ?? "" };
  return said.Username ? { username: said.Username, password: said.Secret ?? "" } : undefined;
}
