import { refreshContainer } from "../../engine/containers/containerState.ts";
import { isSlipwayError } from "../../oci/SlipwayError.ts";
import type { Command } from "../Command.ts";

/** What a container's monitor calls when it has ended: its ports and names go now, not when somebody looks. */
export const command: Command = {
  usage: "CONTAINER",
  summary: "Take away what is left of an ended container's network",
  example: "slipway network release web",
  min: 1,
  max: 1,
  flags: {},
  async run(call) {
    const engine = await call.engine();
    const [id = ""] = call.positionals;
    try {
      refreshContainer(engine, engine.store.containers.find(id));
    } catch (error) {
      if (!isSlipwayError(error, "CONTAINER_NOT_FOUND")) throw error; // removed meanwhile
    }
    return 0;
  },
};
