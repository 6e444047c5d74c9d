import { mkdirSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { SlipwayError } from "../oci/SlipwayError.ts";

export interface AuthEntry {
  /** Base64 of `user:password`. */
  auth?: string;
  username?: string;
  password?: string;
  identitytoken?: string;
  registrytoken?: string;
}

/** The part of Docker's `config.json` (and of `auth.json`, containers-auth.json(5)) that is about credentials. */
export interface CredentialConfig {
  auths?: Record<string, AuthEntry>;
  credsStore?: string;
  credHelpers?: Record<string, string>;
}

/**
 * Where credentials are looked for, in order: `$REGISTRY_AUTH_FILE`, Docker's `config.json` (`$DOCKER_CONFIG`, `~/.docker`), and Podman's
 * `auth.json` (`$XDG_RUNTIME_DIR/containers`, `$XDG_CONFIG_HOME/containers`). The first that is named is where `login` writes to.
 */
export function authFiles(env: Record<string, string | undefined>): { file: string; needed: boolean }[] {
  const files: string[] = [];
  if (env.REGISTRY_AUTH_FILE) files.push(env.REGISTRY_AUTH_FILE);
  if (env.DOCKER_CONFIG) files.push(join(env.DOCKER_CONFIG, "config.json"));
  else if (env.HOME) files.push(join(env.HOME, ".docker/config.json"));
  if (env.XDG_RUNTIME_DIR) files.push(join(env.XDG_RUNTIME_DIR, "containers/auth.json"));
  const config = env.XDG_CONFIG_HOME || (env.HOME ? join(env.HOME, ".config") : undefined);
  if (config !== undefined) files.push(join(config, "containers/auth.json"));
  return files.map((file) => ({ file, needed: false }));
}

/**
 * Undefined where there is no such file and it is not needed.
 * @throws SlipwayError `INVALID_CREDENTIALS_FILE`, which says nothing of what is in it
 */
export function readAuthFile(file: string, needed = false): CredentialConfig | undefined {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if (!needed) return undefined; // none, or somebody else's
    throw new SlipwayError("INVALID_CREDENTIALS_FILE", `the credentials file ${file} cannot be read`, { cause: error });
  }
  if (text.trim() === "") return {};
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The parser's own words would quote the file.
    throw new SlipwayError("INVALID_CREDENTIALS_FILE", `the credentials file ${file} is not JSON`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new SlipwayError("INVALID_CREDENTIALS_FILE", `the credentials file ${file} must hold an object`);
  return value as CredentialConfig;
}

/**
 * Changes the file in one step: a reader sees the old one or the new one. Mode 0600; where it is a link, what it points to is changed. What is not
 * about credentials stays.
 */
export function changeAuthFile(file: string, change: (config: CredentialConfig) => void): void {
  const config = readAuthFile(file) ?? {};
  change(config);
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  let place = file;
  try {
    place = realpathSync(file);
  } catch {
    // It is not there yet.
  }
  const aside = `${place}.${process.pid}.tmp`;
  try {
    writeFileSync(aside, `${JSON.stringify(config, undefined, "\t")}\n`, { mode: 0o600, flag: "wx" });
    renameSync(aside, place);
  } finally {
    rmSync(aside, { force: true });
  }
}
