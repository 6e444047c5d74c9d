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
    const { createContainer } = await import("../../engine/createContainer.ts");
    const container = await createContainer(await call.engine(), options);
    const cidfile = text(call, "cidfile");
    if (cidfile !== undefined) (await import("node:fs")).writeFileSync(cidfile, container.id);
    call.out(`${container.id}\n`);
    return 0;
  },
};
