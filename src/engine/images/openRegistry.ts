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
  const settings = (host: string) => ({ ...config.everyRegistry, ...config.registries[host] });
  const { mirrors, http, tlsVerify: configured, mirrorsAlone } = settings(domain);
  const verify = tlsVerify ?? configured;
  return createRegistry({
    host: domain,
    ...(mirrors === undefined
      ? {}
      : {
          mirrors,
          ofMirror: (host: string) => {
            const said = settings(host);
            return {
              ...(said.http === undefined ? {} : { http: said.http }),
              ...(said.tlsVerify === undefined ? {} : { tlsVerify: said.tlsVerify }),
            };
          },
        }),
    ...(mirrorsAlone === undefined ? {} : { mirrorsAlone }),
    ...(config.certificates === undefined ? {} : { certificates: config.certificates }),
    ...(http === undefined ? {} : { http }),
    ...(verify === undefined ? {} : { tlsVerify: verify }),
    ...(authFile === undefined
      ? {}
      : { credentials: (host, repository) => findCredentials(host, repository, process.env, authFile) }),
    ...(config.patience === undefined ? {} : { patience: config.patience }),
    signal: access.signal ?? signal,
  });
}
