import { existsSync, writeFileSync } from "node:fs";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { type Command, text } from "../Command.ts";
import { createFlags, createOptions } from "../createFlags.ts";

export const command: Command = {
  usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
  summary: "Create a container without starting it",
  example: "slipway create --name web alpine sleep 100",
  min: 1,
  stopAtPositional: true,
  failure: 125,
  flags: createFlags,
  async run(call) {
    const options = createOptions(call);
    const cidfile = text(call, "cidfile");
    if (cidfile !== undefined && existsSync(cidfile)) {
      throw new SlipwayError("USAGE", `the container ID file ${cidfile} is there already`, { exitCode: 125 });
    }
    const { createContainer } = await import("../../engine/containers/createContainer.ts");
    const container = await createContainer(await call.engine(), options);
    if (cidfile !== undefined) writeFileSync(cidfile, container.id);
    call.out(`${container.id}\n`);
    return 0;
  },
};
