import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { rootCertificates } from "node:tls";
import { SlipwayError } from "../oci/SlipwayError.ts";

/** What `fetch` takes as `tls`. */
export interface Tls {
  ca?: string[];
  cert?: string;
  key?: string;
  rejectUnauthorized?: boolean;
}

/** The person's own, then the system's: Podman's places and Docker's. */
export function certificateFolders(env: Record<string, string | undefined>): string[] {
  const home = env.HOME || undefined;
  const config = env.XDG_CONFIG_HOME || (home && join(home, ".config"));
  return [
    ...(config === undefined ? [] : [join(config, "containers/certs.d")]),
    ...(home === undefined ? [] : [join(home, ".docker/certs.d")]),
    "/etc/containers/certs.d",
    "/etc/docker/certs.d",
  ];
}

/** How one host, and those that it sends on to, are asked by https. */
export interface HostTls {
  /** For the host itself. */
  own: Tls;
  /** For other hosts: no certificate of ours is shown to them. */
  others: Tls;
  /** Whether there is a folder of certificates for the host. */
  configured: boolean;
}

/**
 * The system's authorities, and the certificates of a host as Docker keeps them: in `<folder>/<host>/`, `*.crt` are further authorities, `NAME.cert`
 * with `NAME.key` is what the client shows. The first folder that has one for the host counts.
 * @throws SlipwayError `INVALID_CERTIFICATES`
 */
export function findTls(
  host: string,
  {
    tlsVerify,
    certificates = certificateFolders(process.env),
  }: { tlsVerify?: boolean; certificates?: readonly string[] },
): HostTls {
  const system = systemAuthorities();
  const others: Tls = {
    ...(system.length > 0 ? { ca: system } : {}),
    ...(tlsVerify === false ? { rejectUnauthorized: false } : {}),
  };
  for (const folder of certificates) {
    const place = join(folder, host);
    let names: string[];
    try {
      names = readdirSync(place).sort();
    } catch {
      continue; // none for this host
    }
    const own: Tls = { ...others };
    const authorities = names.filter((name) => name.endsWith(".crt"));
    if (authorities.length > 0) {
      const known = system.length > 0 ? system : rootCertificates;
      own.ca = [...known, ...authorities.map((name) => read(place, name))];
    }
    const shown = names.find((name) => name.endsWith(".cert"));
    if (shown !== undefined) {
      const key = shown.replace(/\.cert$/, ".key");
      if (!names.includes(key))
        throw new SlipwayError("INVALID_CERTIFICATES", `${join(place, shown)} has no key ${key} beside it`);
      own.cert = read(place, shown);
      own.key = read(place, key);
    }
    return { own, others, configured: true };
  }
  return { own: others, others, configured: false };
}

/** What the system trusts, as Go's programs find it; the runtime's own list where there is none. */
function systemAuthorities(): string[] {
  const files = [
    process.env.SSL_CERT_FILE,
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
  ];
  for (const file of files) {
    try {
      if (file) return [readFileSync(file, "utf8")];
    } catch {
      // another distribution keeps them elsewhere
    }
  }
  return [];
}

function read(folder: string, name: string): string {
  try {
    return readFileSync(join(folder, name), "utf8");
  } catch (error) {
    throw new SlipwayError("INVALID_CERTIFICATES", `${join(folder, name)} cannot be read`, { cause: error });
  }
}
