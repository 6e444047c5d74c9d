import { inspectContainer } from "../../engine/containers/inspectContainer.ts";
import { inspectImage } from "../../engine/images/inspectImage.ts";
import { isSlipwayError, SlipwayError } from "../../oci/SlipwayError.ts";
import { type Command, flag, text } from "../Command.ts";
import { inspectAll } from "../inspectAll.ts";

export const command: Command = {
  usage: "[OPTIONS] NAME|ID [NAME|ID...]",
  summary: "Show all about containers or images as JSON; a container's name comes first",
  example: "slipway inspect --format '{{.State.Pid}}' web",
  min: 1,
  flags: {
    format: { type: "string", short: "f", help: "json or a Go template" },
    type: { type: "string", help: "container or image" },
    size: { type: "bool", short: "s", help: "Of a container, the bytes that it has written" },
  },
  async run(call) {
    const engine = await call.engine();
    const type = text(call, "type");
    return inspectAll(call, (name) => {
      if (type === "image") return inspectImage(engine, name);
      try {
        return inspectContainer(engine, name, { size: flag(call, "size") });
      } catch (error) {
        if (type === "container" || !isSlipwayError(error, "CONTAINER_NOT_FOUND")) throw error;
      }
      try {
        return inspectImage(engine, name);
      } catch (error) {
        if (!isSlipwayError(error, "IMAGE_NOT_FOUND")) throw error;
        throw new SlipwayError("NOT_FOUND", `no such object: ${name}`);
      }
    });
  },
};
