import type { Command } from "./Command.ts";
import { type CommandEntry, commandTable } from "./commandTable.ts";
import type { FlagType } from "./flags.ts";

const words: Record<FlagType, string> = { string: " string", list: " list", int: " int", bool: "" };

/** `slipway --help`. */
export function generalHelp(): string {
  const shown = commandTable.filter((entry) => entry.hidden !== true);
  const width = Math.max(...shown.map((entry) => entry.name.length)) + 3;
  return [
    "Usage:  slipway [OPTIONS] COMMAND",
    "",
    "Builds container images from Dockerfiles and runs them. No daemon.",
    "",
    "Commands:",
    ...shown.map((entry) => `  ${entry.name.padEnd(width)}${entry.summary}`),
    "",
    "Options:",
    "      --root string      Directory of the store ($SLIPWAY_ROOT)",
    "      --runtime string   OCI runtime: crun, runc or a path",
    "      --storage string   Root file systems: auto, overlay, fuse, copy ($SLIPWAY_STORAGE)",
    "      --isolation string How processes are kept apart: auto, oci, rootless, chroot ($SLIPWAY_ISOLATION)",
    "  -D, --debug            Show where an error comes from",
    "  -v, --version          Show the version",
    "",
    "Run 'slipway COMMAND --help' for more on a command.",
    "",
  ].join("\n");
}

/** `slipway COMMAND --help`. */
export function commandHelp(entry: CommandEntry, command: Command): string {
  const flags = Object.entries(command.flags)
    .filter(([, flag]) => flag.unsupported === undefined)
    .map(([name, flag]): [string, string] => [
      `${flag.short === undefined ? "    " : `-${flag.short}, `}--${name}${words[flag.type]}`,
      flag.help,
    ])
    .sort(([a], [b]) => (a.slice(4) < b.slice(4) ? -1 : 1));
  const width = Math.max(0, ...flags.map(([left]) => left.length)) + 3;
  return [
    `Usage:  slipway ${entry.name} ${command.usage}`,
    "",
    command.summary,
    ...(entry.aliases.length === 0
      ? []
      : ["", "Aliases:", `  ${[entry.name, ...entry.aliases].map((name) => `slipway ${name}`).join(", ")}`]),
    ...(flags.length === 0 ? [] : ["", "Options:", ...flags.map(([left, help]) => `  ${left.padEnd(width)}${help}`)]),
    "",
    "Example:",
    ...command.example.split("\n").map((line) => `  ${line}`),
    "",
  ].join("\n");
}
