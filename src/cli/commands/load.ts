import { loadImages } from "../../engine/images/loadImages.ts";
import { familiarName } from "../../oci/reference.ts";
import { archiveInput } from "../archiveStreams.ts";
import { type Command, given, text } from "../Command.ts";
import { isTerminal } from "../isTerminal.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  summary: "Read images from an archive (from standard input by default)",
  example: "slipway load -i images.tar",
  min: 0,
  max: 0,
  flags: {
    input: {
      type: "string",
      short: "i",
      help: "Archive or OCI layout directory, compressed or not, instead of standard input",
    },
    quiet: { type: "bool", short: "q", help: "Accepted: no progress is shown" },
    platform: { type: "string", help: "Platform to take, os/architecture" },
  },
  async run(call) {
    const input = text(call, "input");
    if (input === undefined && isTerminal(0)) archiveInput();
    const images = await loadImages(await call.engine(), {
      ...given("input", input),
      ...given("platform", text(call, "platform")),
      stdin: archiveInput,
    });
    for (const { id, names, renamed } of images) {
      for (const { name, id: earlier } of renamed)
        call.out(
          `The image ${familiarName(name)} already exists, renaming the old one with ID ${earlier} to empty string\n`,
        );
      for (const name of names) call.out(`Loaded image: ${familiarName(name)}\n`);
      if (names.length === 0) call.out(`Loaded image ID: ${id}\n`);
    }
    return 0;
  },
};
