import { type Command, given, text } from "../Command.ts";
import { copyProgress } from "../copyProgress.ts";
import { registryAccess, registryFlags } from "../registryFlags.ts";

export const command: Command = {
  usage: "[OPTIONS] SOURCE DESTINATION",
  summary:
    "Copy an image, its digests kept, between docker://NAME, oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:REF] and names of the store",
  example: "slipway image copy docker://registry.example.com/app:1 oci:layout:1",
  min: 2,
  max: 2,
  flags: {
    platform: { type: "string", help: "Of an image of several platforms copy this one alone, os/architecture" },
    quiet: { type: "bool", short: "q", help: "Print the digest alone, and no progress" },
    ...registryFlags,
  },
  async run(call) {
    const { parsePlace } = await import("../../engine/images/imagePlace.ts");
    const [source = "", target = ""] = call.positionals;
    const { imageCopy } = await import("../../engine/images/imageCopy.ts");
    const progress = await copyProgress(call);
    const engine = await call.engine((event) => progress.event(event));
    try {
      const digest = await imageCopy(engine, parsePlace(source), parsePlace(target), {
        ...given("platform", text(call, "platform")),
        ...registryAccess(call),
      });
      progress.finish();
      call.out(`${digest}\n`);
    } finally {
      progress.finish();
    }
    return 0;
  },
};
