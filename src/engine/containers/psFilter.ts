import { SlipwayError } from "../../oci/SlipwayError.ts";
import { containerOptions } from "./ContainerOptions.ts";
import { isUp } from "./containerState.ts";
import type { ContainerSummary, Engine } from "../Engine.ts";
import { runningNetwork } from "../networks/networkRecords.ts";
import { healthOf } from "./health.ts";
import { resolveImage } from "../images/resolveImage.ts";

/** Docker's filters of `ps`; values of one key are alternatives, but for labels, and keys hold together. */
export interface PsFilter {
  /** Whether it asks for containers that do not run, too. */
  wantsAll: boolean;
  holds(each: ContainerSummary): boolean;
}

const STATES = ["created", "restarting", "running", "removing", "paused", "exited", "dead"];

/** @throws SlipwayError `USAGE` for a key or value that is none, `CONTAINER_NOT_FOUND` for `before` and `since` */
export function psFilter(engine: Engine, wanted: Record<string, string[]>): PsFilter {
  const { publish, expose, ...others } = wanted;
  const tests = Object.entries(others).map(([key, values]) => {
    const each = values.map((value) => testOf(engine, key, value));
    return (container: ContainerSummary): boolean =>
      key === "label" ? each.every((test) => test(container)) : each.some((test) => test(container));
  });
  if (publish !== undefined || expose !== undefined) tests.push(portTest(publish ?? [], expose ?? []));
  return {
    wantsAll: wanted.status !== undefined,
    holds: (container) => tests.every((test) => test(container)),
  };
}

function testOf(engine: Engine, key: string, value: string): (each: ContainerSummary) => boolean {
  switch (key) {
    case "id":
      return (each) => each.id.startsWith(value);
    case "name": {
      const pattern = regularExpression(value);
      return (each) => pattern.test(each.name) || pattern.test(`/${each.name}`);
    }
    case "status":
      if (!STATES.includes(value)) throw usage(`invalid filter 'status=${value}'`, `There are ${STATES.join(", ")}.`);
      return (each) => each.status === value;
    case "exited":
      if (!/^-?\d+$/.test(value)) throw usage(`invalid filter 'exited=${value}'`, "It is an exit code.");
      return (each) => each.status === "exited" && (each.exitCode ?? 0) === Number(value);
    case "label": {
      const equals = value.indexOf("=");
      const name = equals < 0 ? value : value.slice(0, equals);
      return (each) => {
        const labels = containerOptions(each).config.Labels ?? {};
        return name in labels && (equals < 0 || labels[name] === value.slice(equals + 1));
      };
    }
    case "ancestor":
      return ancestor(engine, value);
    case "before":
    case "since": {
      const other = engine.store.containers.find(value);
      return (each) =>
        each.id !== other.id && (key === "before" ? each.created < other.created : each.created > other.created);
    }
    case "volume":
      return (each) =>
        containerOptions(each).mounts.some(({ name, target, source }) => [name, target, source].includes(value));
    case "network": {
      const networks = engine.store.networks.list();
      return (each) => {
        const { network, networks: attachments = [] } = containerOptions(each);
        const names = attachments.map((at) => networks.find(({ id }) => id === at.network)?.name);
        return [network, ...names].includes(value) || attachments.some((at) => at.network.startsWith(value));
      };
    }
    case "isolation":
      return () => true; // of Windows
    case "health":
      if (!["starting", "healthy", "unhealthy", "none"].includes(value))
        throw usage(`invalid filter 'health=${value}'`, "There are starting, healthy, unhealthy and none.");
      return (each) => (healthOf(engine, each)?.Status ?? "none") === value;
    case "is-task":
      return () => !/^(1|true)$/i.test(value);
    default:
      throw usage(
        `invalid filter '${key}'`,
        "Containers are filtered by ancestor, before, exited, expose, health, id, label, name, network, publish, since, status and volume.",
      );
  }
}

/** Of those that run: ports of the host (`publish`) or their own (`expose`), one of them is enough. `80`, `80/udp`, `8000-8010/tcp`. */
function portTest(publish: string[], expose: string[]): (each: ContainerSummary) => boolean {
  const wanted = {
    publish: publish.map((value) => portRange("publish", value)),
    expose: expose.map((value) => portRange("expose", value)),
  };
  const isIn = (ranges: PortRange[], port: number, protocol: string): boolean =>
    ranges.some((range) => range.protocol === protocol && range.first <= port && port <= range.last);
  return (each) => {
    if (!isUp(each)) return false;
    const published = runningNetwork(each).ports;
    const exposed = Object.keys(containerOptions(each).config.ExposedPorts ?? {}).map((text) => text.split("/"));
    return (
      published.some(
        ({ port, hostPort, protocol }) =>
          isIn(wanted.publish, hostPort, protocol) || isIn(wanted.expose, port, protocol),
      ) || exposed.some(([port, protocol = "tcp"]) => isIn(wanted.expose, Number(port), protocol))
    );
  };
}

interface PortRange {
  first: number;
  last: number;
  protocol: string;
}

function portRange(key: string, value: string): PortRange {
  const [, first, last = first, protocol = "tcp"] = /^(\d+)(?:-(\d+))?(?:\/(\w+))?$/.exec(value) ?? [];
  if (first === undefined) throw usage(`invalid filter '${key}=${value}'`, "For example 80, 53/udp or 8000-8010/tcp.");
  return { first: Number(first), last: Number(last), protocol };
}

/** Of this image, or of one that was built on it: its layers come first. */
function ancestor(engine: Engine, value: string): (each: ContainerSummary) => boolean {
  let layers: string[] | undefined;
  let id: string | undefined;
  try {
    const image = resolveImage(engine, value);
    layers = image.config.rootfs.diff_ids;
    id = image.id;
  } catch {
    // removed meanwhile: its name is left
  }
  return (each) => {
    if (each.image === id || each.imageReference === value || each.imageReference === `${value}:latest`) return true;
    const found = layers;
    return found !== undefined && found.length > 0 && found.every((layer, at) => each.layers[at] === layer);
  };
}

function regularExpression(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch (error) {
    throw new SlipwayError("USAGE", `invalid filter 'name=${text}': it is no regular expression`, { cause: error });
  }
}

function usage(message: string, hint: string): SlipwayError {
  return new SlipwayError("USAGE", message, { hint });
}
