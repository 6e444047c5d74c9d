import { readFileSync, writeFileSync } from "node:fs";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { setDefaultRoute } from "../../runtime/network/endpoints.ts";
import { hostsLine, resolvConf } from "../../runtime/networkFiles.ts";
import type { ContainerRecord } from "../../store/Store.ts";
import { type ContainerOptions, containerHostname, containerOptions } from "../containers/ContainerOptions.ts";
import { refreshContainer, startLock } from "../containers/containerState.ts";
import type { Engine } from "../Engine.ts";
import { recordNetworkEvent } from "../events/eventLog.ts";
import { dnsOptionsOf, joinNetwork, leaveNetwork, openNamespaceOf } from "./networkAttach.ts";
import { resolved } from "./networkMode.ts";
import { type NetworkAttachment, type RunningEndpoint, type RunningNetwork, runningNetwork } from "./networkRecords.ts";

/**
 * Puts a container into a further network: at once where it runs, else from its next start on.
 * @throws SlipwayError `NETWORK_NOT_FOUND`, `ALREADY_CONNECTED`, `NETWORK_MODE`, and what `joinNetwork` throws
 */
export async function connectNetwork(engine: Engine, nameOrId: string, given: NetworkAttachment): Promise<void> {
  await changing(engine, nameOrId, async (record) => {
    const { network, attachment } = resolved(engine, given);
    const options = containerOptions(record);
    if (options.networks === undefined || network.driver !== "bridge") throw wrongMode("connected to");
    if (options.networks.some((each) => each.network === network.id))
      throw new SlipwayError(
        "ALREADY_CONNECTED",
        `endpoint with name ${record.name} already exists in network ${network.name}`,
      );
    recordNetworkEvent(engine, network, "connect", record.id);
    const networks = [...options.networks, attachment];
    const mode = options.networks.length === 0 ? { networks, network: network.name } : { networks };
    if (record.status !== "running" && record.status !== "paused") return { options: { ...options, ...mode } };
    const running = runningNetwork(record);
    const namespace = openNamespaceOf(engine, record);
    try {
      const used = new Set(running.endpoints.map((endpoint) => endpoint.interface));
      let number = 0;
      while (used.has(`eth${number}`)) number++;
      const endpoint = await joinNetwork(engine, record, {
        namespace,
        network,
        attachment,
        interface: `eth${number}`,
        defaultRoute: !network.internal && !hasWayOut(engine, running),
      });
      const hostname = containerHostname(record, options);
      edit(engine, record, "hosts", (text) => text + hostsLine(endpoint.address, { hostname }));
      const endpoints = [...running.endpoints, endpoint];
      changeServers(engine, record, running.endpoints, endpoints);
      return { options: { ...options, ...mode }, network: { ...running, endpoints } };
    } finally {
      engine.store.linux.close(namespace);
    }
  });
}

/** Takes it out again. What goes out of its networks takes another way from then on, if it has one. @throws SlipwayError `NOT_CONNECTED`, `NETWORK_MODE` */
export async function disconnectNetwork(engine: Engine, nameOrId: string, networkNameOrId: string): Promise<void> {
  await changing(engine, nameOrId, async (record) => {
    const network = engine.store.networks.find(networkNameOrId);
    const options = containerOptions(record);
    if (options.networks === undefined || network.driver !== "bridge") throw wrongMode("disconnected from");
    const networks = options.networks.filter((each) => each.network !== network.id);
    if (networks.length === options.networks.length)
      throw new SlipwayError("NOT_CONNECTED", `container ${record.name} is not connected to network ${network.name}`);
    recordNetworkEvent(engine, network, "disconnect", record.id);
    const changed: ContainerOptions = { ...options, networks };
    if (record.status !== "running" && record.status !== "paused") return { options: changed };
    const running = runningNetwork(record);
    const endpoints = running.endpoints.filter((endpoint) => endpoint.network !== network.id);
    const left = running.endpoints.find((endpoint) => endpoint.network === network.id);
    if (left !== undefined) {
      leaveNetwork(engine, record, left);
      changeServers(engine, record, running.endpoints, endpoints);
      edit(engine, record, "hosts", (text) =>
        text
          .split("\n")
          .filter((line) => !line.startsWith(`${left.address}\t`) && !line.startsWith(`${left.address6}\t`))
          .join("\n"),
      );
      const way = endpoints.find((endpoint) => hasWayOut(engine, { ...running, endpoints: [endpoint] }));
      if (way !== undefined) {
        const namespace = openNamespaceOf(engine, record);
        try {
          setDefaultRoute(engine.store.linux, namespace, way);
        } finally {
          engine.store.linux.close(namespace);
        }
      }
    }
    return { options: changed, network: { ...running, endpoints } };
  });
}

/** Nobody starts the container meanwhile, and what `work` gives is recorded. */
async function changing(
  engine: Engine,
  nameOrId: string,
  work: (record: ContainerRecord) => Promise<{ options: ContainerOptions; network?: RunningNetwork }>,
): Promise<void> {
  const { store } = engine;
  const record = refreshContainer(engine, store.containers.find(nameOrId));
  await store.locked(startLock(record.id), async () => {
    const changes = await work(store.containers.find(record.id));
    store.containers.update(record.id, changes);
  });
}

/** Whether one of its networks leads out. */
function hasWayOut(engine: Engine, running: RunningNetwork): boolean {
  const networks = engine.store.networks.list();
  return running.endpoints.some(({ network }) => networks.some((each) => each.id === network && !each.internal));
}

/** What somebody in the container has written in place of ours stays. */
function changeServers(
  engine: Engine,
  record: ContainerRecord,
  before: readonly RunningEndpoint[],
  after: readonly RunningEndpoint[],
): void {
  const options = containerOptions(record);
  const content = (endpoints: readonly RunningEndpoint[]): string =>
    resolvConf(dnsOptionsOf(engine, options, endpoints), false);
  edit(engine, record, "resolv.conf", (text) => (text === content(before) ? content(after) : text));
}

/** In place: the file is mounted in the container. */
function edit(
  engine: Engine,
  record: ContainerRecord,
  name: "hosts" | "resolv.conf",
  change: (text: string) => string,
): void {
  const path = `${engine.store.containers.directory(record.id)}/${name}`;
  const before = readFileSync(path, "utf8");
  const after = change(before);
  if (after !== before) writeFileSync(path, after);
}

function wrongMode(what: string): SlipwayError {
  return new SlipwayError(
    "NETWORK_MODE",
    `a container with the network of the host or of another container, and those networks themselves, cannot be ${what} a network`,
  );
}
