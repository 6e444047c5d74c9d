import type { ContainerRecord } from "../../store/Store.ts";
import { containerOptions } from "../containers/ContainerOptions.ts";
import type { Engine } from "../Engine.ts";

/** Whether something of the container's network may stay when its last process ends: its ports in the firewall, its names, its pasta. */
export function hasToBeReleased(record: ContainerRecord): boolean {
  const { network, networks = [], publish = [], publishAll } = containerOptions(record);
  if (network === "pasta") return true;
  if (networks.length === 0) return false;
  return publish.length > 0 || publishAll === true || networks.length > 1 || network !== "bridge";
}

/** Takes that away. At no cost for most containers, which have none: what it needs is loaded only then. */
export function releaseNetworkOf(engine: Engine, record: ContainerRecord): void {
  if (!hasToBeReleased(record)) return;
  if (containerOptions(record).network === "pasta") {
    const { endPasta } = require("../../runtime/network/pasta.ts") as typeof import("../../runtime/network/pasta.ts");
    endPasta(record.id);
    return;
  }
  const { releaseNetwork } = require("./networkAttach.ts") as typeof import("./networkAttach.ts");
  releaseNetwork(engine, record.id);
}
