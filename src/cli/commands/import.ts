import { importImage } from "../../engine/images/importImage.ts";
import { archiveInput } from "../archiveStreams.ts";
import { type Command, given, list, text } from "../Command.ts";

export const command: Command = {
  usage: "[OPTIONS] FILE|URL|- [REPOSITORY[:TAG]]",
  summary: "Make an image from the tar of a file system",
  example: "slipway import files.tar debian-small",
  min: 1,
  max: 2,
  flags: {
    change: { type: "list", short: "c", help: "Dockerfile instruction for the config: CMD, ENV, WORKDIR …" },
    message: { type: "string", short: "m", help: "Message for the history" },
    platform: { type: "string", help: "Platform of the image, os/architecture (default: this machine's)" },
  },
  async run(call) {
    const [source = "", reference] = call.positionals;
    const id = await importImage(await call.engine(), {
      source,
      stdin: archiveInput,
      changes: list(call, "change"),
      ...given("reference", reference),
      ...given("message", text(call, "message")),
      ...given("platform", text(call, "platform")),
    });
    call.out(`${id}\n`);
    return 0;
  },
};
