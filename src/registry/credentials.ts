import { readFileSync } from "node:fs";
import { join } from "node:path";

/** What a registry is told. Never part of a message or a log. */
export interface Credentials {
  username?: string;
  password?: string;
  /** Exchanged for access tokens (oauth2). */
  identityToken?: string;
  /** Sent as it is (`registrytoken`). */
  registryToken?: string;
}

interface DockerConfig {
  auths?: Record<string, { auth?: string; username?: string; password?: string; identitytoken?: string }>;
  credsStore?: string;
  credHelpers?: Record<string, string>;
}

/**
 * Credentials for `host` and `repository` from `$REGISTRY_AUTH_FILE`, `$DOCKER_CONFIG/config.json`, `~/.docker/config.json` and
 * `$XDG_RUNTIME_DIR/containers/auth.json`; the longest path-scoped key wins, then credential helpers are asked.
 */
export async function findCredentials(
  host: string,
  repository: string,
  env: Record<string, string | undefined> = process.env,
  /** In place of all the others. */
  authFile?: string,
): Promise<Credentials | undefined> {
  for (const file of authFile === undefined ? configFiles(env) : [authFile]) {
    const config = read(file);
    if (config === undefined) continue;
    const found = fromAuths(config, host, repository) ?? (await fromHelper(config, host));
    if (found !== undefined) return found;
  }
  return undefined;
}

function configFiles(env: Record<string, string | undefined>): string[] {
  const files: string[] = [];
  if (env.REGISTRY_AUTH_FILE) files.push(env.REGISTRY_AUTH_FILE);
  if (env.DOCKER_CONFIG) files.push(join(env.DOCKER_CONFIG, "config.json"));
  else if (env.HOME) files.push(join(env.HOME, ".docker/config.json"));
  if (env.XDG_RUNTIME_DIR) files.push(join(env.XDG_RUNTIME_DIR, "containers/auth.json"));
  return files;
}

function read(file: string): DockerConfig | undefined {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as DockerConfig;
  } catch {
    return undefined; // none, or not to be read: then there are no credentials in it
  }
}

/** Docker Hub has a key of its own. */
function keysOf(host: string, repository: string): string[] {
  const paths = repository.split("/");
  const scoped = paths.map((_, i) => `${host}/${paths.slice(0, paths.length - i).join("/")}`);
  return host === "docker.io"
    ? [...scoped, host, "https://index.docker.io/v1/", "index.docker.io"]
    : [...scoped, host, `https://${host}`, `http://${host}`];
}

function fromAuths(config: DockerConfig, host: string, repository: string): Credentials | undefined {
  for (const key of keysOf(host, repository)) {
    const entry = config.auths?.[key] ?? config.auths?.[`${key}/`];
    if (entry === undefined) continue;
    if (entry.identitytoken) return { identityToken: entry.identitytoken };
    if (entry.auth) {
      const plain = Buffer.from(entry.auth, "base64").toString("utf8");
      const colon = plain.indexOf(":");
      if (colon > 0) return { username: plain.slice(0, colon), password: plain.slice(colon + 1) };
    }
    if (entry.username) return { username: entry.username, password: entry.password ?? "" };
  }
  return undefined;
}

/** docker-credential-helpers' protocol: the server on standard input, JSON on standard output. */
async function fromHelper(config: DockerConfig, host: string): Promise<Credentials | undefined> {
  const helper = config.credHelpers?.[host] ?? config.credsStore;
  if (helper === undefined || !/^[\w.-]+$/.test(helper)) return undefined;
  const server = host === "docker.io" ? "https://index.docker.io/v1/" : host;
  try {
    const child = Bun.spawn([`docker-credential-${helper}`, "get"], {
      stdin: Buffer.from(server),
      stdout: "pipe",
      stderr: "ignore",
    });
    const text = await new Response(child.stdout).text();
    if ((await child.exited) !== 0) return undefined;
    const said = JSON.parse(text) as { Username?: string; Secret?: string };
    if (said.Username === "<token>") return { identityToken: said.Secret ?? "" };
    return said.Username === undefined ? undefined : { username: said.Username, password: said.Secret ?? "" };
  } catch {
    return undefined; // a helper that is not installed knows nothing
  }
}
