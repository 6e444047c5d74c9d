import { type ContainerStats, createStats } from "../../engine/containers/statsContainers.ts";
import { type Command, flag, text } from "../Command.ts";
import { binarySize, humanSize } from "../render/humanSize.ts";
import { printRows } from "../render/printRows.ts";

const LOOK_MS = 1000;

export const command: Command = {
  usage: "[OPTIONS] [CONTAINER...]",
  summary: "Show what containers use: processor, memory, network, disk",
  example: "slipway stats --no-stream",
  min: 0,
  flags: {
    all: { type: "bool", short: "a", help: "Those that do not run, too" },
    format: { type: "string", help: "json, table or a Go template" },
    "no-stream": { type: "bool", help: "Look once, and end" },
    "no-trunc": { type: "bool", help: "Whole IDs" },
  },
  async run(call) {
    const engine = await call.engine();
    const stats = createStats(engine);
    const all = flag(call, "all");
    const format = text(call, "format");
    const columns: [string, string][] = [
      ["CONTAINER ID", "ID"],
      ["NAME", "Name"],
      ["CPU %", "CPUPerc"],
      ["MEM USAGE / LIMIT", "MemUsage"],
      ["MEM %", "MemPerc"],
      ["NET I/O", "NetIO"],
      ["BLOCK I/O", "BlockIO"],
      ["PIDS", "PIDs"],
    ];
    const isLive = !flag(call, "no-stream");
    stats.look(call.positionals, all);
    for (;;) {
      await Bun.sleep(LOOK_MS);
      call.signal.throwIfAborted();
      const rows = stats.look(call.positionals, all).map((each) => row(each, flag(call, "no-trunc")));
      // A live table is painted over, as docker does.
      if (isLive && format === undefined) call.out("\x1b[H\x1b[J");
      await printRows(call.out, rows, columns, format);
      if (!isLive) return 0;
    }
  },
};

function row(stats: ContainerStats, whole: boolean): Record<string, string> {
  const { record, usage } = stats;
  const percent = (value: number): string => `${value.toFixed(2)}%`;
  return {
    BlockIO: `${humanSize(usage.blockIn)} / ${humanSize(usage.blockOut)}`,
    CPUPerc: percent(stats.cpuPercent),
    Container: whole ? record.id : record.id.slice(0, 12),
    ID: whole ? record.id : record.id.slice(0, 12),
    MemPerc: percent(stats.memoryLimit === 0 ? 0 : (stats.memory / stats.memoryLimit) * 100),
    MemUsage: `${binarySize(stats.memory)} / ${binarySize(stats.memoryLimit)}`,
    Name: record.name,
    NetIO: `${humanSize(usage.netIn)} / ${humanSize(usage.netOut)}`,
    PIDs: String(usage.pids),
  };
}
