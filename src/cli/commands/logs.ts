import { logs, parseLogTime } from "../../engine/containers/logs.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { type Command, flag, text } from "../Command.ts";
import { ownStreams } from "../streams.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTAINER",
  summary: "Show what a container has printed",
  example: "slipway logs -f web",
  min: 1,
  max: 1,
  flags: {
    follow: { type: "bool", short: "f", help: "Go on until the container ends" },
    tail: { type: "string", short: "n", help: "Last lines only: a number, or all" },
    timestamps: { type: "bool", short: "t", help: "Show the time of each line" },
    since: { type: "string", help: "From this time on (2026-01-02T15:04:05, or 10m for ten minutes ago)" },
    until: { type: "string", help: "Until this time" },
    details: { type: "bool", help: "Show what --log-opt labels, env and tag ask for" },
  },
  async run(call) {
    const tail = text(call, "tail");
    if (tail !== undefined && tail !== "all" && !/^\d+$/.test(tail)) {
      throw new SlipwayError("USAGE", `--tail ${tail} is neither a number nor all`);
    }
    const since = text(call, "since");
    const until = text(call, "until");
    const options = {
      follow: flag(call, "follow"),
      timestamps: flag(call, "timestamps"),
      details: flag(call, "details"),
      ...(tail === undefined || tail === "all" ? {} : { tail: Number(tail) }),
      ...(since === undefined ? {} : { since: parseLogTime(since) }),
      ...(until === undefined ? {} : { until: parseLogTime(until) }),
    };
    await logs(
      await call.engine(),
      call.positionals[0] as string,
      options,
      ownStreams({ interactive: false, tty: false }),
    );
    return 0;
  },
};
