import { checkHealth } from "../../engine/containers/checkHealth.ts";
import { type Command, flag } from "../Command.ts";

export const command: Command = {
  usage: "CONTAINER PID:START",
  summary: "What a container's watcher runs for its health check; prints the seconds until the next",
  example: "slipway container check 4a2f 812:55831",
  min: 2,
  max: 2,
  flags: { first: { type: "bool", help: "Do not check yet" } },
  async run(call) {
    const [id = "", instance] = call.positionals;
    const seconds = await checkHealth(await call.engine(), id, { instance, first: flag(call, "first") });
    if (seconds === undefined) return 1;
    call.out(`${seconds}\n`);
    return 0;
  },
};
