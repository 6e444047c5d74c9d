import { SlipwayError } from "../../oci/SlipwayError.ts";
import { type Command, text } from "../Command.ts";

export const command: Command = {
  usage: "--from OLD --onto NEW -t NAME IMAGE",
  summary: "Put what an image adds to its base over another base, without a build",
  example: "slipway image rebase app:1 --from alpine:3.20 --onto alpine:3.21 -t app:2",
  min: 1,
  max: 1,
  flags: {
    from: { type: "string", help: "Base that the image was built on" },
    onto: { type: "string", help: "Base that it gets" },
    tag: { type: "string", short: "t", help: "Name of the result" },
  },
  async run(call) {
    const [name = ""] = call.positionals;
    const [from, onto, tag] = ["from", "onto", "tag"].map((each) => text(call, each));
    if (from === undefined || onto === undefined || tag === undefined)
      throw new SlipwayError("USAGE", "image rebase needs --from, --onto and --tag");
    const { imageRebase } = await import("../../engine/images/imageRebase.ts");
    call.out(`${imageRebase(await call.engine(), name, { from, onto, tag })}\n`);
    return 0;
  },
};
