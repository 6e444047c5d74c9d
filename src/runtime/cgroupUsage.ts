import { readOr } from "./readOr.ts";

/** What the processes of a control group use and have used, those that have ended among them; absent is what no file says. */
export interface CgroupUsage {
  cpuMicroseconds?: number;
  /** Bytes, without the page cache that could go at once, as Docker shows it. */
  memory?: number;
  blockIn?: number;
  blockOut?: number;
}

/** `directories`: of one group, in each tree where it is. Version 2 and 1 alike. */
export function cgroupUsage(directories: readonly string[]): CgroupUsage {
  const usage: CgroupUsage = {};
  for (const directory of directories)
    Object.assign(
      usage,
      usageIn((file) => readOr(`${directory}/${file}`)),
    );
  return usage;
}

function usageIn(read: (file: string) => string): CgroupUsage {
  const usage: CgroupUsage = {};
  const cpu = field(read("cpu.stat"), "usage_usec");
  const nanoseconds = read("cpuacct.usage");
  if (cpu !== undefined) usage.cpuMicroseconds = cpu;
  else if (nanoseconds !== "") usage.cpuMicroseconds = Number(nanoseconds) / 1000;
  for (const [file, inactive] of [
    ["memory.current", "inactive_file"],
    ["memory.usage_in_bytes", "total_inactive_file"],
  ] as const) {
    const used = read(file);
    if (used !== "") usage.memory = Math.max(0, Number(used) - (field(read("memory.stat"), inactive) ?? 0));
  }
  // A line a device: `8:0 rbytes=1 wbytes=2 …`, or `8:0 Read 1`.
  const [io, throttled] = [read("io.stat"), read("blkio.throttle.io_service_bytes")];
  if (io !== "") Object.assign(usage, { blockIn: sum(io, /\brbytes=(\d+)/g), blockOut: sum(io, /\bwbytes=(\d+)/g) });
  else if (throttled !== "")
    Object.assign(usage, { blockIn: sum(throttled, /\bRead (\d+)/g), blockOut: sum(throttled, /\bWrite (\d+)/g) });
  return usage;
}

function field(text: string, name: string): number | undefined {
  const found = new RegExp(`^${name} (\\d+)`, "m").exec(text)?.[1];
  return found === undefined ? undefined : Number(found);
}

function sum(text: string, pattern: RegExp): number {
  return [...text.matchAll(pattern)].reduce((total, [, number]) => total + Number(number), 0);
}
