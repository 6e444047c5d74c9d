import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { SlipwayError } from "../oci/SlipwayError.ts";

/** What `fetch` takes as `tls`. */
export interface Tls {
  ca?: string[];
  cert?: string;
  key?: string;
  rejectUnauthorized?: boolean;
}

export const CERTIFICATE_FOLDERS: readonly string[] = ["/etc/containers/certs.d", "/etc/docker/certs.d"];

/**
 * The certificates of a host, as Docker keeps them: in `<folder>/<host>/`, `*.crt` are further authorities, `NAME.cert` with `NAME.key` is what
 * the client shows. The first folder that has one for the host counts. Undefined where nothing differs from the system's own.
 * @throws SlipwayError `INVALID_CERTIFICATES`
 */
export function findTls(
  host: string,
  { tlsVerify, certificates = CERTIFICATE_FOLDERS }: { tlsVerify?: boolean; certificates?: readonly string[] },
): Tls | undefined {
  const tls: Tls = {};
  if (tlsVerify === false) tls.rejectUnauthorized = false;
  for (const folder of certificates) {
    const own = join(folder, host);
    let names: string[];
    try {
      names = readdirSync(own).sort();
    } catch {
      continue; // none for this host
    }
    const authorities = names.filter((name) => name.endsWith(".crt"));
    // The system's authorities stay: Docker adds, too.
    if (authorities.length > 0) tls.ca = [...systemAuthorities(), ...authorities.map((name) => read(own, name))];
    const shown = names.find((name) => name.endsWith(".cert"));
    if (shown !== undefined) {
      const key = shown.replace(/\.cert$/, ".key");
      if (!names.includes(key))
        throw new SlipwayError("INVALID_CERTIFICATES", `${join(own, shown)} has no key ${key} beside it`);
      tls.cert = read(own, shown);
      tls.key = read(own, key);
    }
    break;
  }
  return Object.keys(tls).length === 0 ? undefined : tls;
}

function systemAuthorities(): string[] {
  const files = [process.env.SSL_CERT_FILE, "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];
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
