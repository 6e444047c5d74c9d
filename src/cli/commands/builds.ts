import { type BuildRecord, listBuilds, outcomeOf } from "../../engine/build/buildRecords.ts";
import { humanDuration } from "../../engine/humanDuration.ts";
import { familiarMatch } from "../../engine/images/familiarMatch.ts";
import { familiarName } from "../../oci/reference.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { type Command, flag, list, text } from "../Command.ts";
import { oneLine } from "../render/lineSplitter.ts";
import { printRows, type Row } from "../render/printRows.ts";
import { filters } from "./images.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  summary: "List recorded builds, newest first",
  example: "slipway builds",
  min: 0,
  max: 0,
  flags: {
    quiet: { type: "bool", short: "q", help: "IDs only" },
    filter: {
      type: "list",
      short: "f",
      help: "status=done|failed|canceled, reference=PATTERN, context=PATH, image=ID, id=ID",
    },
    format: { type: "string", help: "json, table or a Go template" },
  },
  async run(call) {
    const wanted = filters(list(call, "filter"));
    const found = listBuilds(await call.engine()).filter((build) => matches(build, wanted));
    if (flag(call, "quiet")) {
      for (const { id } of found) call.out(`${id}\n`);
      return 0;
    }
    const columns: [string, string][] = [
      ["BUILD ID", "ID"],
      ["NAME", "Name"],
      ["STATUS", "Status"],
      ["STEPS", "Steps"],
      ["DURATION", "Duration"],
      ["CREATED", "CreatedSince"],
    ];
    await printRows(call.out, found.map(row), columns, text(call, "format"));
    return 0;
  },
};

function row(build: BuildRecord): Row {
  const { finished = build.started, started } = build;
  return {
    ID: build.id,
    Status: build.status,
    Name: oneLine(build.tags.map(familiarName).join(",") || build.context),
    Context: build.context,
    Dockerfile: build.dockerfile,
    Target: build.target ?? "",
    Steps: `${build.steps.filter((step) => outcomeOf(step) === "cached").length}/${build.steps.length} cached`,
    Duration: `${((finished - started) / 1000).toFixed(1)}s`,
    CreatedSince: `${humanDuration(Date.now() - started)} ago`,
    CreatedAt: new Date(started).toISOString(),
    ImageID: build.imageID ?? "",
    Error: build.error ?? "",
  };
}

function matches(build: BuildRecord, wanted: Record<string, string[]>): boolean {
  return Object.entries(wanted).every(([key, values]) => values.some((value) => matchesOne(build, key, value)));
}

function matchesOne(build: BuildRecord, key: string, value: string): boolean {
  switch (key) {
    case "id":
      return build.id.startsWith(value);
    case "status":
      return build.status === value;
    case "reference":
      return build.tags.some((tag) => familiarMatch(value, tag));
    case "context":
      return build.context === value;
    case "image":
      return build.imageID?.replace("sha256:", "").startsWith(value.replace("sha256:", "")) ?? false;
    default:
      throw new SlipwayError("USAGE", `invalid filter ${JSON.stringify(key)}`, {
        hint: "It takes id, status, reference, context and image.",
      });
  }
}
