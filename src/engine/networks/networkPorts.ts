import type { ContainerOptions } from "../containers/ContainerOptions.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";

export type Protocol = "tcp" | "udp" | "sctp";

/** One port of a container that the host shall lead to it. */
export interface PortRequest {
  protocol: Protocol;
  /** In the container. */
  port: number;
  /** Address of the host; "": all of them. */
  hostAddress: string;
  /** The first that is free of these; 0: any. */
  hostFirst: number;
  hostLast: number;
}

/** One that it does lead to. */
export interface PortBinding {
  protocol: Protocol;
  port: number;
  hostAddress: string;
  hostPort: number;
}

/** What `-p` and `-P` ask for. */
export function portRequests(options: ContainerOptions): PortRequest[] {
  const asked = (options.publish ?? []).flatMap(parsePublish);
  if (options.publishAll !== true) return asked;
  const named = new Set(asked.map(({ port, protocol }) => `${port}/${protocol}`));
  const exposed = Object.keys(options.config.ExposedPorts ?? {}).filter((key) => !named.has(key));
  return [...asked, ...exposed.flatMap((key) => parsePublish(key))];
}

/**
 * `-p` as Docker reads it: `[[ADDRESS:][HOST]:]PORT[/PROTOCOL]`, where HOST and PORT may be ranges of one length, and HOST alone a range
 * of which a free one is taken. @throws SlipwayError `INVALID_OPTION`
 */
export function parsePublish(text: string): PortRequest[] {
  const [, rest = "", protocol = "tcp"] = /^(.*?)(?:\/([^/]*))?$/s.exec(text) ?? [];
  const parts = /^(?:(\[[^\]]*\]|[^:]*):)??(?:([^:]*):)?([^:]*)$/.exec(rest);
  if (parts === null) throw invalid(text, "it has too many colons", "An IPv6 address stands in brackets.");
  const [, address = "", host = "", container = ""] = parts;
  if (protocol !== "tcp" && protocol !== "udp" && protocol !== "sctp")
    throw invalid(text, `invalid proto: ${protocol}`, "It is tcp, udp or sctp.");
  if (container === "") throw invalid(text, "no port specified");
  const hostAddress = address.replace(/^\[(.*)\]$/, "$1");
  if (hostAddress !== "" && !/^[0-9a-fA-F.:]+$/.test(hostAddress))
    throw invalid(text, `invalid IP address: ${address}`);
  const [first, last] = portRange(container) ?? fail(text, `invalid containerPort: ${container}`);
  const [hostFirst, hostLast] = host === "" ? [0, 0] : (portRange(host, 0) ?? fail(text, `invalid hostPort: ${host}`));
  const count = last - first + 1;
  const hostCount = hostLast - hostFirst + 1;
  if (host !== "" && count !== hostCount && count !== 1)
    throw invalid(text, `invalid ranges specified for container and host Ports: ${container} and ${host}`);
  return Array.from({ length: count }, (_, at): PortRequest => {
    const range = host === "" ? [0, 0] : count === 1 ? [hostFirst, hostLast] : [hostFirst + at, hostFirst + at];
    return {
      protocol,
      port: first + at,
      hostAddress,
      hostFirst: range[0] as number,
      hostLast: range[1] as number,
    };
  });
}

/** `--expose` and EXPOSE: `80`, `80/udp`, `8000-8010`; each as `80/tcp`. @throws SlipwayError `INVALID_OPTION` */
export function parseExpose(text: string): string[] {
  const [, ports = "", protocol = "tcp"] = /^([^/]*)(?:\/(.*))?$/s.exec(text) ?? [];
  const range = portRange(ports);
  if (range === undefined || !/^(tcp|udp|sctp)$/i.test(protocol))
    throw new SlipwayError("INVALID_OPTION", `invalid range format for --expose: ${text}`, { exitCode: 125 });
  return Array.from({ length: range[1] - range[0] + 1 }, (_, at) => `${range[0] + at}/${protocol.toLowerCase()}`);
}

/** `0.0.0.0:8080`, `[::]:8080`. */
export function hostPortText({ hostAddress, hostPort }: Pick<PortBinding, "hostAddress" | "hostPort">): string {
  return `${hostAddress.includes(":") ? `[${hostAddress}]` : hostAddress}:${hostPort}`;
}

function portRange(text: string, least = 1): [first: number, last: number] | undefined {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text);
  if (match === null) return undefined;
  const first = Number(match[1]);
  const last = match[2] === undefined ? first : Number(match[2]);
  return first < least || last > 65535 || last < first ? undefined : [first, last];
}

function fail(text: string, why: string): never {
  throw invalid(text, why);
}

function invalid(text: string, why: string, hint = "For example -p 8080:80, -p 127.0.0.1:8080:80/tcp."): SlipwayError {
  return new SlipwayError("INVALID_OPTION", `invalid port ${JSON.stringify(text)}: ${why}`, { hint, exitCode: 125 });
}

/**
 * Docker's PORTS column: what is published with where to, ranges that go together as one, then what is only exposed.
 * `exposed`: keys of ExposedPorts.
 */
export function portsText(bindings: readonly PortBinding[], exposed: readonly string[]): string {
  const published = new Set(bindings.map(({ port, protocol }) => `${port}/${protocol}`));
  const all = [
    ...bindings.map((each) => ({ ...each, where: each.hostAddress })),
    ...exposed
      .filter((key) => !published.has(key))
      .map((key) => {
        const [port = "", protocol = "tcp"] = key.split("/");
        return { port: Number(port), protocol: protocol as Protocol, hostPort: 0, where: "" };
      }),
  ].sort(
    (a, b) =>
      compare(a.protocol, b.protocol) || a.port - b.port || compare(a.where, b.where) || a.hostPort - b.hostPort,
  );
  const groups: { first: (typeof all)[0]; length: number }[] = [];
  for (const each of all) {
    const joins = groups.find(
      ({ first, length }) =>
        first.where === each.where &&
        first.protocol === each.protocol &&
        first.port + length === each.port &&
        (first.where === "" || first.hostPort + length === each.hostPort),
    );
    if (joins !== undefined) joins.length++;
    else groups.push({ first: each, length: 1 });
  }
  return groups
    .sort((a, b) => a.first.port - b.first.port)
    .map(({ first, length }) => {
      const range = (start: number): string => (length === 1 ? `${start}` : `${start}-${start + length - 1}`);
      const inside = `${range(first.port)}/${first.protocol}`;
      if (first.where === "") return inside;
      return `${first.where.includes(":") ? `[${first.where}]` : first.where}:${range(first.hostPort)}->${inside}`;
    })
    .join(", ");
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
