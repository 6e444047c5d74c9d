import { mkdirSync, symlinkSync } from "node:fs";
import { join, resolve } from "node:path";
import type { EngineConfig, RegistrySettings } from "../../engine/Engine.ts";
import { parseReference } from "../../oci/reference.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { certificateFolders } from "../../registry/tls.ts";
import { type Call, flag, list } from "../Command.ts";

/**
 * The configuration with what the flags say of registries over it. Plain http has no certificate at all, so that whoever allows it has also
 * allowed any certificate. `folder` is an empty directory for certificates.
 * @throws SlipwayError `USAGE`
 */
export function kanikoRegistries(
  call: Call,
  config: EngineConfig,
  { destinations, folder, env }: { destinations: string[]; folder: () => string; env: NodeJS.ProcessEnv },
): EngineConfig {
  const registries = new Map<string, RegistrySettings>(Object.entries(config.registries));
  const say = (host: string, more: RegistrySettings): void =>
    void registries.set(host, { ...registries.get(host), ...more });

  const pushed = new Set(destinations.map((each) => parseReference(each).domain));
  const pushesAnyhow = flag(call, "insecure") || flag(call, "skip-tls-verify");
  const pullsAnyhow = flag(call, "insecure-pull") || flag(call, "skip-tls-verify-pull");
  for (const host of pushed) {
    if (pushesAnyhow) say(host, { tlsVerify: false });
    // What is allowed for pulls alone does not hold for a registry that is pushed to.
    else if (pullsAnyhow && !/^(localhost|127\.|\[::1\])/.test(host)) say(host, { tlsVerify: true });
  }
  for (const name of ["insecure-registry", "skip-tls-verify-registry"])
    for (const host of list(call, name)) say(hubName(host), { tlsVerify: false });

  const mirrors = new Map<string, string[]>();
  const mirror = (host: string, at: string): void => void mirrors.set(host, [...(mirrors.get(host) ?? []), at]);
  for (const pair of [...list(call, "registry-map"), env.KANIKO_REGISTRY_MAP ?? ""].flatMap((each) =>
    each.split(";"),
  )) {
    if (pair === "") continue;
    const [host, at] = cut(pair, "--registry-map", "REGISTRY=HOST");
    mirror(hubName(host), at);
  }
  for (const each of [...list(call, "registry-mirror"), env.KANIKO_REGISTRY_MIRROR ?? ""])
    if (each !== "") mirror("docker.io", each);
  for (const [host, all] of mirrors)
    say(host, {
      // Those of the configuration come after; where nothing but these may be asked, they are left out.
      mirrors: flag(call, "skip-default-registry-fallback") ? all : [...all, ...(registries.get(host)?.mirrors ?? [])],
      ...(flag(call, "skip-default-registry-fallback") ? { mirrorsAlone: true } : {}),
    });

  const certificates = certificatesOf(call, folder);
  return {
    ...config,
    registries: Object.fromEntries(registries),
    ...(pullsAnyhow ? { everyRegistry: { tlsVerify: false } } : {}),
    ...(certificates === undefined ? {} : { certificates: [certificates, ...certificateFolders(env)] }),
  };
}

/** In the form in which the registry client looks for them. */
function certificatesOf(call: Call, folder: () => string): string | undefined {
  const authorities = list(call, "registry-certificate");
  const shown = list(call, "registry-client-cert");
  if (authorities.length === 0 && shown.length === 0) return undefined;
  const place = folder();
  const put = (host: string, name: string, file: string): void => {
    mkdirSync(join(place, host), { recursive: true });
    symlinkSync(resolve(file), join(place, host, name));
  };
  for (const [i, each] of authorities.entries()) {
    const [host, file] = cut(each, "--registry-certificate", "REGISTRY=FILE");
    put(hubName(host), `authority${i}.crt`, file);
  }
  for (const [i, each] of shown.entries()) {
    const [host, files] = cut(each, "--registry-client-cert", "REGISTRY=CERTIFICATE,KEY");
    const [certificate = "", key = ""] = files.split(",");
    if (key === "") throw usage("--registry-client-cert", each, "REGISTRY=CERTIFICATE,KEY");
    put(hubName(host), `client${i}.cert`, certificate);
    put(hubName(host), `client${i}.key`, key);
  }
  return place;
}

/** kaniko names Docker Hub as its library does. */
function hubName(host: string): string {
  return host === "index.docker.io" ? "docker.io" : host;
}

function cut(text: string, flagName: string, form: string): [string, string] {
  const equals = text.indexOf("=");
  if (equals <= 0 || equals === text.length - 1) throw usage(flagName, text, form);
  return [text.slice(0, equals), text.slice(equals + 1)];
}

function usage(flagName: string, text: string, form: string): SlipwayError {
  return new SlipwayError("USAGE", `${flagName} ${text}: it must say ${form}`);
}
