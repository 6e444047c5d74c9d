export interface LoopbackRegistry {
  /** `http://127.0.0.1:PORT` */
  url: string;
  /** `127.0.0.1:PORT` */
  host: string;
  stop(): Promise<void>;
}
/** Starts Debian's docker-registry on a free loopback port, its data in `folder`. Resolves when it answers. */
export interface RegistrySettings {
  tls?: { certificate: string; key: string; clientca?: string };
  /** That part of docker-registry's configuration. */
  auth?: object;
}

export function startRegistry(folder: string, settings?: RegistrySettings): Promise<LoopbackRegistry>;
