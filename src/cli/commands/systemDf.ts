import { type DiskUsage, diskUsage } from "../../engine/diskUsage.ts";
import { type Command, flag, text } from "../Command.ts";
import { humanSize } from "../render/humanSize.ts";
import { printRows, type Row } from "../render/printRows.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  summary: "Show what the store has on the disk; the sizes add up to what `du` shows of it",
  example: "slipway system df -v",
  min: 0,
  max: 0,
  flags: {
    verbose: { type: "bool", short: "v", help: "Each image, container, volume and part of the build cache" },
    format: { type: "string", help: "json, table or a Go template" },
  },
  async run(call) {
    const usage = await diskUsage(await call.engine());
    if (flag(call, "verbose")) {
      const { printDetails } = await import("../render/diskDetails.ts");
      await printDetails(call.out, usage, text(call, "format"));
      return 0;
    }
    const columns: [string, string][] = [
      ["TYPE", "Type"],
      ["TOTAL", "TotalCount"],
      ["ACTIVE", "Active"],
      ["SIZE", "Size"],
      ["RECLAIMABLE", "Reclaimable"],
    ];
    await printRows(call.out, rows(usage), columns, text(call, "format"));
    return 0;
  },
};

function rows({ images, containers, volumes, cache, records }: DiskUsage): Row[] {
  const row = (Type: string, [total, active]: [number, number], size: number, reclaimable: string): Row => ({
    ...{ Type, TotalCount: String(total), Active: String(active), Size: humanSize(size, 4), Reclaimable: reclaimable },
  });
  const count = <T>(all: readonly T[], isActive: (each: T) => boolean): [number, number] => [
    all.length,
    all.filter(isActive).length,
  ];
  const part = ({ size, reclaimable }: { size: number; reclaimable: number }): string =>
    size === 0 ? humanSize(0) : `${humanSize(reclaimable, 4)} (${Math.floor((reclaimable * 100) / size)}%)`;
  return [
    row(
      "Images",
      count(images.all, (each) => each.containers > 0),
      images.size,
      part(images),
    ),
    row(
      "Containers",
      count(containers.all, (each) => each.record.status === "running"),
      containers.size,
      part(containers),
    ),
    row(
      "Local Volumes",
      count(volumes.all, (each) => each.links > 0),
      volumes.size,
      part(volumes),
    ),
    row(
      "Build Cache",
      count(cache.all, (each) => each.inUse),
      cache.size,
      humanSize(cache.reclaimable, 4),
    ),
    row("Records", [records.builds, 0], records.size, humanSize(0)),
  ];
}
