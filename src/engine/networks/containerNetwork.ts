import { SlipwayError } from "../../oci/SlipwayError.ts";
import type { NetworkFilesOptions } from "../../runtime/networkFiles.ts";
import type { ContainerRecord } from "../../store/Store.ts";
import { containerOptions } from "../containers/ContainerOptions.ts";
import { refreshContainer } from "../containers/containerState.ts";
import type { Engine } from "../Engine.ts";
import type { RunningNetwork } from "./networkRecords.ts";

/** The network that a container is about to start with. */
export interface ContainerNetwork {
  /** For the runtime. */
  spec: "host" | "none" | { path: string };
  /** What its files say of it. */
  files: Pick<NetworkFilesOptions, "ownHosts" | "addresses" | "hostGateway" | "dns">;
  /** Directory of the container whose files it shares. */
  filesFrom?: string;
  /** Sockets that hold its ports of the host for as long as its monitor lives. */
  fds: number[];
  /** To be recorded; undefined where it has no network of its own. */
  running?: RunningNetwork;
  /** Closes what the monitor and the runtime have by now. */
  close(): void;
}

const NO_MORE = (): void => undefined;
/**
 * Makes the container's network. What bridges take is loaded only for a container that is on one.
 * @throws SlipwayError `CONTAINER_NOT_RUNNING`, and what `openBridges` throws
 */
export async function openContainerNetwork(engine: Engine, record: ContainerRecord): Promise<ContainerNetwork> {
  const options = containerOptions(record);
  const dns = { servers: options.dns ?? [], search: options.dnsSearch ?? [], options: options.dnsOptions ?? [] };
  const simple = (spec: "host" | "none"): ContainerNetwork => ({
    spec,
    files: { ownHosts: spec === "host", dns },
    fds: [],
    close: NO_MORE,
  });
  if (options.network.startsWith("container:")) return joinContainer(engine, options.network.slice(10));
  if (options.network === "pasta") {
    const { openPasta } = await import("./pastaNetwork.ts");
    return openPasta(engine, record);
  }
  if (options.networks === undefined || options.networks.length === 0)
    return simple(options.network === "none" || options.networks !== undefined ? "none" : "host");
  const { openBridges, releaseNetwork } = await import("./networkAttach.ts");
  engine.releaseNetwork = releaseNetwork;
  return openBridges(engine, record, options);
}

/** The namespace of another container, and its files. */
function joinContainer(engine: Engine, nameOrId: string): ContainerNetwork {
  const { containers } = engine.store;
  const other = refreshContainer(engine, containers.find(nameOrId));
  if (other.status !== "running" && other.status !== "paused") {
    throw new SlipwayError("CONTAINER_NOT_RUNNING", `cannot join network of a non running container: ${other.id}`, {
      hint: `Start it first: slipway start ${other.name}`,
      exitCode: 125,
    });
  }
  return {
    spec: { path: `/proc/${other.pid}/ns/net` },
    files: { ownHosts: false },
    filesFrom: containers.directory(other.id),
    fds: [],
    close: NO_MORE,
  };
}
