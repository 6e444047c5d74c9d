import { describeVolume, getVolume, volumeNotFound } from "../../engine/volumes/volumeRecords.ts";
import type { Command } from "../Command.ts";
import { inspectAll } from "../inspectAll.ts";

export const command: Command = {
  usage: "[OPTIONS] VOLUME [VOLUME...]",
  summary: "Show all about volumes as JSON",
  example: "slipway volume inspect --format '{{.Mountpoint}}' data",
  min: 1,
  flags: { format: { type: "string", short: "f", help: "json or a Go template" } },
  async run(call) {
    const engine = await call.engine();
    return inspectAll(call, (name) => {
      const volume = getVolume(engine, name);
      if (volume === undefined) throw volumeNotFound(name);
      return describeVolume(volume);
    });
  },
};
