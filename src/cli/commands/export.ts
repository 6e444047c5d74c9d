import { exportContainer } from "../../engine/containers/exportContainer.ts";
import { archiveOutput } from "../archiveStreams.ts";
import { type Command, text } from "../Command.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTAINER",
  summary: "Write a container's file system as a tar (to standard output by default)",
  example: "slipway export -o files.tar web",
  min: 1,
  max: 1,
  flags: { output: { type: "string", short: "o", help: "File instead of standard output" } },
  async run(call) {
    const output = archiveOutput(text(call, "output"), "export");
    await exportContainer(await call.engine(), call.positionals[0] as string, { output });
    return 0;
  },
};
