import { SlipwayError } from "../oci/SlipwayError.ts";

/**
 * EXPOSE's words, `[ip:][hostPort:]port[-port][/protocol]`, as `port/protocol` each, ranges spelled out, in the order given.
 * Address and host port are checked and dropped.
 * @throws SlipwayError `INVALID_PORT`
 */
export function parsePorts(words: readonly string[]): string[] {
  return words.flatMap(parsePort);
}

function parsePort(word: string): string[] {
  const parts = word.split(":");
  const last = parts.pop() ?? "";
  const hostPort = parts.pop() ?? "";
  const ip = parts
    .join(":")
    .replace(/^\[(.*)\]$/, "$1")
    .replace(/^\[([^\]]*)\]:.*$/, "$1");
  const slash = last.indexOf("/");
  const port = slash < 0 ? last : last.slice(0, slash);
  const protocol = slash < 0 ? "tcp" : last.slice(slash + 1).toLowerCase() || "tcp";
  if (port === "") throw invalid(word, "no port specified");
  if (!["tcp", "udp", "sctp"].includes(protocol)) throw invalid(word, `invalid proto: ${protocol}`);
  const address = ip.endsWith(":") && !ip.endsWith("::") ? ip.slice(0, -1) : ip;
  if (address !== "" && !isAddress(address)) throw invalid(word, `invalid IP address: ${ip}`);
  const range = parseRange(port);
  if (range === undefined) throw invalid(word, `invalid containerPort: ${port}`);
  if (hostPort !== "") {
    const host = parseRange(hostPort);
    if (host === undefined) throw invalid(word, `invalid hostPort: ${hostPort}`);
    if (host[1] - host[0] !== range[1] - range[0] && range[0] !== range[1])
      throw invalid(word, `invalid ranges specified for container and host Ports: ${port} and ${hostPort}`);
  }
  return Array.from({ length: range[1] - range[0] + 1 }, (_, offset) => `${range[0] + offset}/${protocol}`);
}

function parseRange(text: string): [number, number] | undefined {
  const match = /^(\d+)(?:-(\d+))?$/.exec(text);
  if (match === null) return undefined;
  const start = Number(match[1]);
  const end = Number(match[2] ?? match[1]);
  return end > 65535 || end < start ? undefined : [start, end];
}

function invalid(word: string, reason: string): SlipwayError {
  return new SlipwayError("INVALID_PORT", `invalid port: ${JSON.stringify(word)}: ${reason}`);
}

function isAddress(text: string): boolean {
  return text.includes(":")
    ? URL.canParse(`http://[${text}]/`)
    : /^(25[0-5]|2[0-4]\d|1?\d?\d)(\.(25[0-5]|2[0-4]\d|1?\d?\d)){3}$/.test(text);
}
