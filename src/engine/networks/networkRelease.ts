import type { ContainerRecord } from "../../store/Store.ts";
import { isHeldByHost } from "../../runtime/network/hostState.ts";
import { containerOptions } from "../containers/ContainerOptions.ts";
import type { Engine } from "../Engine.ts";
import { selfCommand } from "../../runtime/selfCommand.ts";

/** Whether something of the container's network may stay when its last process ends: its ports in the firewall, its names, its pasta. */
export function hasToBeReleased(record: ContainerRecord): boolean {
  const { network, networks = [], publish = [], publishAll } = containerOptions(record);
  if (network === "pasta") return true;
  if (networks.length === 0) return false;
  return publish.length > 0 || publishAll === true || networks.length > 1 || network !== "bridge";
}

const isOnPasta = (record: ContainerRecord): boolean => containerOptions(record).network === "pasta";

/** Loads what `releaseNetworkOf` needs, where it is foreseen: without it that starts a process of its own. */
export async function prepareRelease(engine: Engine, record: ContainerRecord): Promise<void> {
  if (!hasToBeReleased(record) || isOnPasta(record)) return;
  const { releaseNetwork } = await import("./networkAttach.ts");
  engine.releaseNetwork = releaseNetwork;
}

/** Takes that away. At no cost for most containers, which have none. */
export function releaseNetworkOf(engine: Engine, record: ContainerRecord): void {
  if (!hasToBeReleased(record)) return;
  if (isOnPasta(record)) {
    const { endPasta } =
      require("../../runtime/network/endPasta.ts") as typeof import("../../runtime/network/endPasta.ts");
    endPasta(record.id);
    return;
  }
  if (engine.releaseNetwork !== undefined) {
    engine.releaseNetwork(engine, record.id);
    return;
  }
  // Conmon has mostly done so by now.
  if (!isHeldByHost(record.id)) return;
  Bun.spawnSync(selfCommand(["network", "release", "--now", record.id]), {
    env: { ...process.env, SLIPWAY_ROOT: engine.store.root },
    stdio: ["ignore", "ignore", "inherit"],
  });
}
