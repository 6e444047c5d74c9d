import type { Linux } from "../../linux/Linux.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { bridgeNamespacePath } from "../../runtime/network/bridgeNamespace.ts";
import { endPasta } from "../../runtime/network/endPasta.ts";
import { PASTA_DNS, PASTA_HOST, startPasta } from "../../runtime/network/pasta.ts";
import { resolvConf } from "../../runtime/networkFiles.ts";
import { readOr } from "../../runtime/readOr.ts";
import type { SolveContext } from "../../solve/SolveContext.ts";
import type { ContainerRecord } from "../../store/Store.ts";
import { containerOptions } from "../containers/ContainerOptions.ts";
import type { Engine } from "../Engine.ts";
import type { ContainerNetwork } from "./containerNetwork.ts";
import { containerNamespace, holdPorts } from "./networkAttach.ts";

/** @throws SlipwayError `INVALID_OPTION` */
export function requirePlainUser(): void {
  if (bridgeNamespacePath() !== undefined) return;
  throw new SlipwayError("INVALID_OPTION", "--network pasta is a plain user's: root has --network bridge and host", {
    exitCode: 125,
  });
}

/** `run --network pasta`: the host's addresses and way out in a namespace of the container's own. @throws as `holdPorts` and `startPasta` do */
export async function openPasta(engine: Engine, record: ContainerRecord): Promise<ContainerNetwork> {
  const { linux } = engine.store;
  const options = containerOptions(record);
  const { fds, bindings } = await holdPorts(engine, record, options, undefined);
  for (const fd of fds) linux.close(fd); // known to be free, and pasta's from now on
  const namespace = containerNamespace(linux);
  try {
    const path = `/proc/${process.pid}/fd/${namespace}`;
    const ports = bindings.flatMap(({ protocol, ...rest }) => (protocol === "sctp" ? [] : [{ ...rest, protocol }]));
    endPasta(record.id); // of a run whose end nobody has seen
    startPasta(record.id, path, ports);
    const dns = {
      servers: options.dns ?? localServers(),
      search: options.dnsSearch ?? [],
      options: options.dnsOptions ?? [],
    };
    return {
      spec: { path },
      files: { ownHosts: false, hostGateway: PASTA_HOST, dns },
      fds: [],
      running: { endpoints: [], ports: bindings },
      close: () => linux.close(namespace),
    };
  } catch (error) {
    linux.close(namespace);
    throw error;
  }
}

/** `build --network pasta`. */
export function pastaStep(linux: Linux): SolveContext["network"] {
  requirePlainUser();
  return {
    key: "network pasta",
    open() {
      const namespace = containerNamespace(linux);
      const id = crypto.randomUUID();
      const path = `/proc/${process.pid}/fd/${namespace}`;
      const close = (): void => {
        endPasta(id);
        linux.close(namespace);
      };
      try {
        startPasta(id, path, []);
      } catch (error) {
        close();
        throw error;
      }
      const dns = { servers: localServers(), search: [], options: [] };
      return { path, hostGateway: PASTA_HOST, resolvConf: resolvConf(dns, false), close };
    },
  };
}

/** What stands for servers at the host's loopback. */
function localServers(): string[] {
  return /^\s*nameserver\s+(127\.|::1\s*$)/m.test(readOr("/etc/resolv.conf")) ? [PASTA_DNS] : [];
}
