import { readFileSync } from "node:fs";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { addEndpoint, refreshFirewall } from "../../runtime/network/endpoints.ts";
import { addDnsEntry, dnsDevices, removeDnsEntries } from "../../runtime/network/dns.ts";
import { resolvConf } from "../../runtime/networkFiles.ts";
import type { SolveContext } from "../../solve/SolveContext.ts";
import { refreshContainer } from "../containers/containerState.ts";
import type { Engine } from "../Engine.ts";
import { containerNamespace, hostGatewayOf, leadOut, serversOf, withLinks } from "../networks/networkAttach.ts";
import { pastaStep } from "../networks/pastaNetwork.ts";
import { bridgeNetwork } from "../networks/bridgeNetwork.ts";
import { deviceOf, runningNetwork } from "../networks/networkRecords.ts";

/**
 * What `build --network` means where it names a network of the store, or `container:NAME`, whose network RUN steps share.
 * @throws SlipwayError `NETWORK_NOT_FOUND`, `CONTAINER_NOT_FOUND`, `CONTAINER_NOT_RUNNING`
 */
export function stepNetwork(engine: Engine, name: string): SolveContext["network"] {
  if (name.startsWith("container:")) return joined(engine, name.slice("container:".length));
  const { store } = engine;
  if (name === "pasta") return pastaStep(store.linux);
  const network = store.networks.find(name);
  if (network.driver !== "bridge") return network.driver === "host" ? "host" : "none";
  return {
    key: `network ${network.name}`,
    open() {
      const { linux } = store;
      const namespace = containerNamespace(linux);
      const step = `step-${process.pid}-${namespace}`;
      // Its server runs as long as containers are in the network: without any there is no name to ask it for.
      const named = dnsDevices().includes(deviceOf(network));
      const close = (): void => {
        linux.close(namespace);
        if (named) withLinks(engine, (links) => removeDnsEntries(step, links.list()));
      };
      try {
        const endpoint = withLinks(engine, (links) => {
          if (!network.internal) leadOut(linux, links);
          const made = addEndpoint(linux, links, namespace, {
            network: bridgeNetwork(store, links, network),
            container: `step of ${process.pid}`,
            interface: "eth0",
            defaultRoute: !network.internal,
          });
          if (named) {
            const { address } = made;
            const gateways = network.subnets.map(({ gateway }) => gateway);
            const asker = { container: step, address, names: [step], servers: serversOf({}) };
            addDnsEntry({ device: deviceOf(network), gateways, internal: network.internal }, asker, links.list());
          }
          refreshFirewall(linux, links);
          return made;
        });
        const servers = named ? [endpoint.gateway] : serversOf({});
        return {
          path: `/proc/${process.pid}/fd/${namespace}`,
          hostGateway: hostGatewayOf(linux, endpoint),
          resolvConf: resolvConf({ servers, search: [], options: [], containerNames: named }, false),
          close,
        };
      } catch (error) {
        close();
        throw error;
      }
    },
  };
}

function joined(engine: Engine, nameOrId: string): SolveContext["network"] {
  const { store } = engine;
  const record = refreshContainer(engine, store.containers.find(nameOrId));
  if (record.status !== "running")
    throw new SlipwayError("CONTAINER_NOT_RUNNING", `cannot join network of a non running container: ${record.id}`, {
      hint: `Start it first: slipway start ${record.name}`,
    });
  return {
    key: `network of container ${record.name}`,
    open() {
      const { gateway } = runningNetwork(record).endpoints[0] ?? {};
      return {
        path: `/proc/${record.pid}/ns/net`,
        ...(gateway === undefined ? {} : { hostGateway: gateway }),
        resolvConf: readFileSync(`${store.containers.directory(record.id)}/resolv.conf`, "utf8"),
        close: () => undefined,
      };
    },
  };
}
