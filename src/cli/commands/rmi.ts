import { removeImage } from "../../engine/images/removeImage.ts";
import { type Command, flag, given, text } from "../Command.ts";
import { forEach } from "../forEach.ts";

export const command: Command = {
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  summary: "Remove images: names first, and what no name needs any more",
  example: "slipway rmi hello",
  min: 1,
  flags: {
    force: { type: "bool", short: "f", help: "Also when it has several names or a stopped container needs it" },
    platform: { type: "string", help: "Of an image of several platforms this one alone, os/architecture" },
    "no-prune": { type: "bool", help: "Accepted: there are no untagged parents" },
  },
  async run(call) {
    const engine = await call.engine();
    return forEach(call, async (name) => {
      const removed = removeImage(engine, name, {
        force: flag(call, "force"),
        ...given("platform", text(call, "platform")),
      });
      for (const each of removed.untagged) call.out(`Untagged: ${each}\n`);
      for (const each of removed.deleted) call.out(`Deleted: ${each}\n`);
    });
  },
};
