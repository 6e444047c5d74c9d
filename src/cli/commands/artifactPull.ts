import { type Command, text } from "../Command.ts";
import { copyProgress } from "../copyProgress.ts";
import { registryAccess, registryFlags } from "../registryFlags.ts";

export const command: Command = {
  usage: "[OPTIONS] NAME[:TAG|@DIGEST]",
  summary: "Download the files of an artifact",
  example: "slipway artifact pull -o files registry.example.com/app@sha256:…",
  min: 1,
  max: 1,
  flags: {
    output: { type: "string", short: "o", help: "Directory that the files go to (default: this one)" },
    quiet: { type: "bool", short: "q", help: "Print the names of the files alone, and no progress" },
    ...registryFlags,
  },
  async run(call) {
    const [name = ""] = call.positionals;
    const { pullArtifact } = await import("../../engine/images/pullArtifact.ts");
    const progress = await copyProgress(call);
    const engine = await call.engine((event) => progress.event(event));
    try {
      const { files } = await pullArtifact(engine, name, text(call, "output") ?? ".", registryAccess(call));
      progress.finish();
      for (const file of files) call.out(`${file.name}\n`);
    } finally {
      progress.finish();
    }
    return 0;
  },
};
