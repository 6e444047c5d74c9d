import { tagImage } from "../../engine/images/tagImage.ts";
import type { Command } from "../Command.ts";

export const command: Command = {
  usage: "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
  summary: "Give an image a further name",
  example: "slipway tag hello hello:v1",
  min: 2,
  max: 2,
  flags: {},
  async run(call) {
    const [source = "", target = ""] = call.positionals;
    tagImage(await call.engine(), source, target);
    return 0;
  },
};
