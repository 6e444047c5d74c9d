import { diffContainer } from "../../engine/containers/diffContainer.ts";
import type { Command } from "../Command.ts";

export const command: Command = {
  usage: "CONTAINER",
  summary: "List what a container has written over its image: A added, C changed, D deleted",
  example: "slipway diff git",
  min: 1,
  max: 1,
  flags: {},
  async run(call) {
    const changes = diffContainer(await call.engine(), call.positionals[0] as string);
    call.out(changes.map(({ kind, path }) => `${kind} ${path}\n`).join(""));
    return 0;
  },
};
