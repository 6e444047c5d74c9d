import { updateContainer } from "../../engine/containers/updateContainer.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { type Command, given, text } from "../Command.ts";
import { forEach } from "../forEach.ts";
import { resourcesOf, updateResourceFlags } from "../resourceFlags.ts";
import { restartPolicy } from "../settingFlags.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  summary: "Change limits and restart policy of containers",
  example: "slipway update --memory 512m web",
  min: 1,
  flags: {
    ...updateResourceFlags,
    restart: { type: "string", help: "no, always, unless-stopped, on-failure[:MAX]" },
    "kernel-memory": { type: "string", help: "", unsupported: "the kernel has no such limit any more" },
  },
  async run(call) {
    const resources = resourcesOf(call);
    const restart = text(call, "restart");
    if (resources === undefined && restart === undefined)
      throw new SlipwayError("USAGE", "you must provide one or more flags when using this command");
    const changes = {
      ...given("resources", resources),
      ...given("restart", restart === undefined ? undefined : restartPolicy(restart)),
    };
    const engine = await call.engine();
    return forEach(call, async (name) => {
      await updateContainer(engine, name, changes);
      call.out(`${name}\n`);
    });
  },
};
