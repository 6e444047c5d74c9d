import { inspectContainer } from "../../engine/containers/inspectContainer.ts";
import { type Command, flag } from "../Command.ts";
import { inspectAll } from "../inspectAll.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  summary: "Show all about containers as JSON",
  example: "slipway container inspect --format '{{.State.Status}}' web",
  min: 1,
  flags: {
    format: { type: "string", short: "f", help: "json or a Go template" },
    size: { type: "bool", short: "s", help: "With the bytes that it has written" },
  },
  async run(call) {
    const engine = await call.engine();
    return inspectAll(call, (name) => inspectContainer(engine, name, { size: flag(call, "size") }));
  },
};
