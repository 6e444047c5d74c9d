const HUB = "docker.io";

/**
 * The canonical repository that a path of the protocol stands for, as one that is written without a registry's host: `hello` and
 * `library/hello` are `docker.io/library/hello`, `ghcr.io/a/b` is itself. `host` is another one that a mirror's client asks for (`ns=`).
 */
export function repositoryOf(name: string, host?: string): string {
  if (host !== undefined && host !== HUB) return `${host}/${name}`;
  const slash = name.indexOf("/");
  const first = slash < 0 ? "" : name.slice(0, slash);
  if (host === undefined && (first.includes(".") || first === "localhost")) return name;
  return slash < 0 ? `${HUB}/library/${name}` : `${HUB}/${name}`;
}

/** The shortest path that a canonical repository is served by; undefined where there is none: the protocol's names have
 * neither a port nor, on Docker Hub, a first part that looks like a host. */
export function nameOf(repository: string): string | undefined {
  const slash = repository.indexOf("/");
  const host = repository.slice(0, slash);
  if (/[^a-z0-9.-]/.test(host)) return undefined;
  const path = repository.slice(slash + 1);
  const name = host !== HUB ? repository : /^library\/[^/]+$/.test(path) ? path.slice("library/".length) : path;
  return repositoryOf(name) === repository ? name : undefined;
}
