import { inspectNetwork } from "../../engine/networks/networks.ts";
import type { Command } from "../Command.ts";
import { inspectAll } from "../inspectAll.ts";

export const command: Command = {
  usage: "[OPTIONS] NETWORK [NETWORK...]",
  summary: "Show all about networks as JSON",
  example: "slipway network inspect bridge",
  min: 1,
  flags: {
    format: { type: "string", short: "f", help: "json or a Go template" },
    verbose: { type: "bool", short: "v", help: "Accepted: all is always shown" },
  },
  async run(call) {
    const engine = await call.engine();
    return inspectAll(call, (name) => inspectNetwork(engine, name));
  },
};
