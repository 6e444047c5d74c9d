import { refreshContainer } from "../../engine/containers/containerState.ts";
import { prepareRelease, releaseNetworkOf } from "../../engine/networks/networkRelease.ts";
import { isSlipwayError } from "../../oci/SlipwayError.ts";
import { type Command, flag } from "../Command.ts";

/** What a container's monitor calls when it has ended: its ports and names go now, not when somebody looks. */
export const command: Command = {
  usage: "CONTAINER",
  summary: "Take away what is left of an ended container's network",
  example: "slipway network release web",
  min: 1,
  max: 1,
  flags: { now: { type: "bool", help: "Whatever its record says: whoever asks knows that it does not run" } },
  async run(call) {
    const engine = await call.engine();
    const [id = ""] = call.positionals;
    try {
      const record = engine.store.containers.find(id);
      await prepareRelease(engine, record);
      // It may have been started again by now: its names are the new run's then.
      if (flag(call, "now")) releaseNetworkOf(engine, record);
      else refreshContainer(engine, record);
    } catch (error) {
      if (!isSlipwayError(error, "CONTAINER_NOT_FOUND")) throw error; // removed meanwhile
    }
    return 0;
  },
};
