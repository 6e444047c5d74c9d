import { findCredentials } from "../../registry/credentials.ts";
import { createRegistry, type Registry } from "../../registry/createRegistry.ts";
import type { Engine } from "../Engine.ts";

/** What a command may say of how registries are asked. */
export interface RegistryAccess {
  /** Credentials come from this file alone. */
  authFile?: string;
  /** False: any certificate is taken, and plain http where there is no TLS. */
  tlsVerify?: boolean;
}

/** The registry `domain` as the configuration, the environment and the command say that it is asked. `signal` where it is not the engine's. */
export function openRegistry(
  { config, signal }: Engine,
  domain: string,
  access: RegistryAccess & { signal?: AbortSignal } = {},
): Registry {
  const { authFile, tlsVerify } = access;
  const { mirrors, http, tlsVerify: configured } = config.registries[domain] ?? {};
  const verify = tlsVerify ?? configured;
  return createRegistry({
    host: domain,
    ...(mirrors === undefined ? {} : { mirrors }),
    ...(http === undefined ? {} : { http }),
    ...(verify === undefined ? {} : { tlsVerify: verify }),
    ...(authFile === undefined
      ? {}
      : { credentials: (host, repository) => findCredentials(host, repository, process.env, authFile) }),
    ...(config.patience === undefined ? {} : { patience: config.patience }),
    signal: access.signal ?? signal,
  });
}
