import { removeNetwork } from "../../engine/networks/networks.ts";
import { isSlipwayError } from "../../oci/SlipwayError.ts";
import { type Command, flag } from "../Command.ts";
import { forEach } from "../forEach.ts";

export const command: Command = {
  usage: "[OPTIONS] NETWORK [NETWORK...]",
  summary: "Remove networks that no running container is in",
  example: "slipway network rm backend",
  min: 1,
  flags: { force: { type: "bool", short: "f", help: "No error where there is no such network" } },
  async run(call) {
    const engine = await call.engine();
    return forEach(call, async (name) => {
      try {
        removeNetwork(engine, name);
      } catch (error) {
        if (!flag(call, "force") || !isSlipwayError(error, "NETWORK_NOT_FOUND")) throw error;
        return;
      }
      call.out(`${name}\n`);
    });
  },
};
