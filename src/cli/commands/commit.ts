import { commitContainer } from "../../engine/containers/commitContainer.ts";
import { type Command, list, text } from "../Command.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
  summary: "Make an image from what a container has written",
  example: "slipway commit git debian-git",
  min: 1,
  max: 2,
  flags: {
    author: { type: "string", short: "a", help: "Author" },
    message: { type: "string", short: "m", help: "Message for the history" },
    change: { type: "list", short: "c", help: "Dockerfile instruction for the config: CMD, ENV, WORKDIR …" },
    pause: { type: "bool", short: "p", help: "Accepted: the container goes on" },
  },
  async run(call) {
    const [name = "", reference] = call.positionals;
    const author = text(call, "author");
    const message = text(call, "message");
    const id = await commitContainer(await call.engine(), name, {
      changes: list(call, "change"),
      ...(reference === undefined ? {} : { reference }),
      ...(author === undefined ? {} : { author }),
      ...(message === undefined ? {} : { message }),
    });
    call.out(`${id}\n`);
    return 0;
  },
};
