import type { ContainerConfig } from "../../oci/config.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";

/**
 * The config with one `--change` of `commit` applied: a Dockerfile instruction that touches nothing but the config, without expansion.
 * @throws SlipwayError `INVALID_CHANGE`
 */
export function applyChange(config: ContainerConfig, change: string): ContainerConfig {
  const parts = /^\s*([A-Za-z]+)(?:\s+|=)(.*?)\s*$/s.exec(change);
  const fail = (why: string): never => {
    throw new SlipwayError("INVALID_CHANGE", `invalid --change ${JSON.stringify(change)}: ${why}`, {
      hint: "It is a Dockerfile instruction, as in --change 'CMD [\"sh\"]'.",
    });
  };
  if (parts === null) return fail("it is no instruction with arguments");
  const name = (parts[1] as string).toUpperCase();
  const rest = parts[2] as string;
  if (rest === "") fail(`${name} needs an argument`);
  switch (name) {
    case "CMD":
      return { ...config, Cmd: command(config, rest) };
    case "ENTRYPOINT":
      return { ...config, Entrypoint: command(config, rest) };
    case "ENV": {
      const values = new Map((config.Env ?? []).map((entry) => [entry.split("=", 1)[0] as string, entry]));
      for (const [key, value] of pairs(rest) ?? fail("it is KEY=VALUE")) values.set(key, `${key}=${value}`);
      return { ...config, Env: [...values.values()] };
    }
    case "LABEL": {
      const labels = { ...(config.Labels ?? {}) };
      for (const [key, value] of pairs(rest) ?? fail("it is KEY=VALUE")) labels[key] = value;
      return { ...config, Labels: labels };
    }
    case "EXPOSE": {
      const ports = { ...(config.ExposedPorts ?? {}) };
      for (const port of rest.split(/\s+/)) {
        if (!/^\d{1,5}(-\d{1,5})?(\/(tcp|udp|sctp))?$/i.test(port)) fail(`${JSON.stringify(port)} is no port`);
        ports[port.includes("/") ? port.toLowerCase() : `${port}/tcp`] = {};
      }
      return { ...config, ExposedPorts: ports };
    }
    case "VOLUME": {
      const volumes = { ...(config.Volumes ?? {}) };
      for (const path of jsonList(rest) ?? rest.split(/\s+/)) volumes[path] = {};
      return { ...config, Volumes: volumes };
    }
    case "USER":
      return { ...config, User: unquote(rest) };
    case "WORKDIR": {
      const path = unquote(rest);
      const joined = path.startsWith("/") ? path : `${config.WorkingDir ?? ""}/${path}`;
      return {
        ...config,
        WorkingDir: `/${joined
          .split("/")
          .filter((part) => part !== "" && part !== ".")
          .join("/")}`,
      };
    }
    case "STOPSIGNAL":
      return { ...config, StopSignal: unquote(rest) };
    case "ONBUILD":
      return { ...config, OnBuild: [...(config.OnBuild ?? []), rest] };
    case "SHELL":
      return { ...config, Shell: jsonList(rest) ?? fail("SHELL takes the JSON form") };
    case "HEALTHCHECK":
      if (rest.toUpperCase() !== "NONE") fail("HEALTHCHECK can only be NONE here");
      return { ...config, Healthcheck: { Test: ["NONE"] } };
    default:
      return fail(`${name} is not a change that commit can make`);
  }
}

function command(config: ContainerConfig, text: string): string[] {
  return jsonList(text) ?? [...(config.Shell ?? ["/bin/sh", "-c"]), text];
}

function jsonList(text: string): string[] | undefined {
  if (!text.startsWith("[")) return undefined;
  try {
    const list: unknown = JSON.parse(text);
    return Array.isArray(list) && list.every((each) => typeof each === "string") ? list : undefined;
  } catch {
    return undefined; // the shell form may begin with a bracket: `[ -f x ]`
  }
}

/** `K=V K2="V 2"`, or the old form `K V`. Undefined where it is neither. */
function pairs(text: string): [string, string][] | undefined {
  const words = text.match(/(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+/gs);
  if (words === null) return undefined;
  if (!(words[0] as string).includes("=")) {
    const old = /^(\S+)\s+(.+)$/s.exec(text);
    return old === null ? undefined : [[unquote(old[1] as string), old[2] as string]];
  }
  const found: [string, string][] = [];
  for (const word of words) {
    const equals = word.indexOf("=");
    if (equals <= 0) return undefined;
    found.push([unquote(word.slice(0, equals)), unquote(word.slice(equals + 1))]);
  }
  return found;
}

function unquote(text: string): string {
  return text.replace(/"((?:[^"\\]|\\.)*)"|'([^']*)'|\\(.)/gs, (_, double, single, escaped) =>
    double !== undefined ? double.replace(/\\(["\\$])/g, "$1") : (single ?? escaped),
  );
}
