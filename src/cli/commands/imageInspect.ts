import { inspectImage } from "../../engine/images/inspectImage.ts";
import { type Command, text } from "../Command.ts";
import { inspectAll } from "../inspectAll.ts";

export const command: Command = {
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  summary: "Show all about images as JSON",
  example: "slipway image inspect --format '{{.Id}}' hello",
  min: 1,
  flags: {
    format: { type: "string", short: "f", help: "json or a Go template" },
    platform: { type: "string", help: "Of an image of several platforms this one, os/architecture" },
  },
  async run(call) {
    const engine = await call.engine();
    return inspectAll(call, (name) => inspectImage(engine, name, text(call, "platform")));
  },
};
