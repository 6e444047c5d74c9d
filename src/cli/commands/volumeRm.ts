import { removeVolume } from "../../engine/volumes/volumeRecords.ts";
import { isSlipwayError } from "../../oci/SlipwayError.ts";
import { type Command, flag } from "../Command.ts";
import { forEach } from "../forEach.ts";

export const command: Command = {
  usage: "[OPTIONS] VOLUME [VOLUME...]",
  summary: "Remove volumes with all that is in them",
  example: "slipway volume rm data",
  min: 1,
  flags: { force: { type: "bool", short: "f", help: "One that is not there is as good as removed" } },
  async run(call) {
    const engine = await call.engine();
    return forEach(call, async (name) => {
      try {
        removeVolume(engine, name);
      } catch (error) {
        if (!flag(call, "force") || !isSlipwayError(error, "VOLUME_NOT_FOUND")) throw error;
      }
      call.out(`${name}\n`);
    });
  },
};
