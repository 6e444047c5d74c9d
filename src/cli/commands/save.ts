import { saveImages } from "../../engine/images/saveImages.ts";
import { archiveOutput } from "../archiveStreams.ts";
import { type Command, given, text } from "../Command.ts";

export const command: Command = {
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  summary: "Write images into an archive (to standard output by default)",
  example: "slipway save -o images.tar hello alpine:3.20",
  min: 1,
  flags: {
    output: { type: "string", short: "o", help: "File instead of standard output" },
    platform: { type: "string", help: "Platform that the images must be of, os/architecture" },
  },
  async run(call) {
    const output = archiveOutput(text(call, "output"), "save");
    await saveImages(await call.engine(), call.positionals, { output, ...given("platform", text(call, "platform")) });
    return 0;
  },
};
