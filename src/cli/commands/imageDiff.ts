import type { FileChange, ImageDiff } from "../../engine/images/imageDiff.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { type Command, text } from "../Command.ts";
import { humanSize } from "../render/humanSize.ts";

export const command: Command = {
  usage: "[OPTIONS] IMAGE IMAGE",
  summary: "Show which files and settings differ between two images of the store; times do not count",
  example: "slipway image diff app:1.0 app:1.1",
  min: 2,
  max: 2,
  flags: {
    format: { type: "string", help: "`json` for all of it as one document" },
  },
  async run(call) {
    const format = text(call, "format");
    if (format !== undefined && format !== "json")
      throw new SlipwayError("USAGE", `unknown format ${JSON.stringify(format)}`, { hint: "Use --format json." });
    const [from = "", to = ""] = call.positionals;
    const { imageDiff } = await import("../../engine/images/imageDiff.ts");
    const diff = await imageDiff(await call.engine(), from, to);
    call.out(format === "json" ? `${JSON.stringify(diff, undefined, 2)}\n` : asText(diff));
    return 0;
  },
};

const LETTER = { added: "A", changed: "C", removed: "D" } as const;

function asText({ files, config }: ImageDiff): string {
  const lines = files.map(line);
  for (const { field, before, after } of config) lines.push(`${field}: ${shown(before)} → ${shown(after)}`);
  const sum = (kind: FileChange["kind"], side: "before" | "after"): string => {
    const of = files.filter((file) => file.kind === kind);
    return `${of.length} ${kind} (${humanSize(of.reduce((bytes, file) => bytes + file[side], 0))})`;
  };
  lines.push(
    `${sum("added", "after")}, ${sum("changed", "after")}, ${sum("removed", "before")}, ${config.length} of the config`,
  );
  return lines.map((each) => `${each}\n`).join("");
}

function line({ kind, path, before, after, what }: FileChange): string {
  if (kind !== "changed") return `${LETTER[kind]} ${path} ${humanSize(kind === "added" ? after : before)}`;
  const size = before === after ? humanSize(after) : `${humanSize(before)} → ${humanSize(after)}`;
  return `C ${path} ${size} (${what.join(", ")})`;
}

function shown(value: unknown): string {
  return value === undefined ? "none" : JSON.stringify(value);
}
