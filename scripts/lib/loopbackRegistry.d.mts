export interface LoopbackRegistry {
  /** `http://127.0.0.1:PORT` */
  url: string;
  /** `127.0.0.1:PORT` */
  host: string;
  stop(): Promise<void>;
}
/** Starts Debian's docker-registry on a free loopback port, its data in `folder`. Resolves when it answers. */
export function startRegistry(folder: string): Promise<LoopbackRegistry>;
