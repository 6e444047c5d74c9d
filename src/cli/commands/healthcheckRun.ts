import { runHealthcheck } from "../../engine/containers/checkHealth.ts";
import type { Command } from "../Command.ts";

export const command: Command = {
  usage: "CONTAINER",
  summary: "Run a container's health check now: status 0 when it is healthy",
  example: "slipway healthcheck run web",
  min: 1,
  max: 1,
  flags: {},
  async run(call) {
    const health = await runHealthcheck(await call.engine(), call.positionals[0] as string);
    const { ExitCode, Output } = health.Log.at(-1) ?? { ExitCode: 0, Output: "" };
    call.out(Output);
    return ExitCode === 0 ? 0 : 1;
  },
};
