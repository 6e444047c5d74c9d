import { attachContainer } from "../../engine/containers/attachContainer.ts";
import { type Command, flag, text } from "../Command.ts";
import { ownStreams } from "../streams.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTAINER",
  summary: "Connect the terminal to a running container; ctrl-p ctrl-q leaves it",
  example: "slipway attach web",
  min: 1,
  max: 1,
  flags: {
    "no-stdin": { type: "bool", help: "Do not connect standard input" },
    "detach-keys": { type: "string", help: "Keys that leave the container running (default ctrl-p,ctrl-q)" },
    "sig-proxy": { type: "bool", help: "Signals to this process go to the container (default true)" },
  },
  async run(call) {
    const streams = ownStreams({ interactive: !flag(call, "no-stdin"), tty: true });
    return attachContainer(await call.engine(), call.positionals[0] as string, streams, {
      detachKeys: text(call, "detach-keys"),
      sigProxy: call.values["sig-proxy"] !== false,
    });
  },
};
