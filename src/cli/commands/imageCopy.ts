import { type Command, given, text } from "../Command.ts";
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
    ...registryFlags,
  },
  async run(call) {
    const { parsePlace } = await import("../../engine/images/imagePlace.ts");
    const [source = "", target = ""] = call.positionals;
    const { imageCopy } = await import("../../engine/images/imageCopy.ts");
    const digest = await imageCopy(await call.engine(), parsePlace(source), parsePlace(target), {
      ...given("platform", text(call, "platform")),
      ...registryAccess(call),
    });
    call.out(`${digest}\n`);
    return 0;
  },
};
