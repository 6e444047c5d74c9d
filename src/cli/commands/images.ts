import type { ImageSummary } from "../../engine/Engine.ts";
import { humanDuration } from "../../engine/humanDuration.ts";
import { images } from "../../engine/images/images.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { type Command, flag, list, text } from "../Command.ts";
import { humanSize } from "../render/humanSize.ts";
import { printRows, type Row } from "../render/printRows.ts";

export const command: Command = {
  usage: "[OPTIONS] [REPOSITORY[:TAG]]",
  summary: "List images",
  example: "slipway images",
  min: 0,
  max: 1,
  flags: {
    all: { type: "bool", short: "a", help: "Accepted: there are no hidden images" },
    quiet: { type: "bool", short: "q", help: "IDs only" },
    "no-trunc": { type: "bool", help: "Whole IDs" },
    digests: { type: "bool", help: "Show the digests that registries know the images by" },
    filter: {
      type: "list",
      short: "f",
      help: "dangling=true, label=KEY[=VALUE], before=IMAGE, since=IMAGE, reference=PATTERN",
    },
    format: { type: "string", help: "json, table or a Go template" },
    tree: { type: "bool", help: "Show the platforms of each image, those that are not here as well" },
  },
  async run(call) {
    const [reference] = call.positionals;
    const engine = await call.engine();
    const found = images(engine, {
      filters: filters(list(call, "filter")),
      ...(reference === undefined ? {} : { reference }),
    });
    if (flag(call, "tree")) {
      for (const other of ["quiet", "no-trunc", "digests"])
        if (flag(call, other)) throw new SlipwayError("USAGE", `--${other} is not supported with --tree`);
      if (text(call, "format") !== undefined) throw new SlipwayError("USAGE", "--format is not supported with --tree");
      const { printImageTree } = await import("../render/imageTree.ts");
      printImageTree(call.out, engine, found);
      return 0;
    }
    const whole = flag(call, "no-trunc");
    const rows = found.flatMap((image) => rowsOf(image, whole));
    if (flag(call, "quiet")) {
      for (const id of new Set(rows.map((row) => row.ID))) call.out(`${id}\n`);
      return 0;
    }
    const columns: [string, string][] = [
      ["REPOSITORY", "Repository"],
      ["TAG", "Tag"],
      ...(flag(call, "digests") ? [["DIGEST", "Digest"] as [string, string]] : []),
      ["IMAGE ID", "ID"],
      ["CREATED", "CreatedSince"],
      ["SIZE", "Size"],
    ];
    await printRows(call.out, rows, columns, text(call, "format"));
    return 0;
  },
};

function rowsOf(image: ImageSummary, whole: boolean): Row[] {
  const names = image.tags.length === 0 ? ["<none>:<none>"] : image.tags;
  return names.map((name) => {
    const colon = name.lastIndexOf(":");
    const repository = name.slice(0, colon);
    return {
      Repository: repository,
      Tag: name.slice(colon + 1),
      Digest: image.repoDigests.find((each) => each.startsWith(`${repository}@`))?.split("@")[1] ?? "<none>",
      ID: whole ? image.id : image.id.slice("sha256:".length, "sha256:".length + 12),
      CreatedSince: image.created <= 0 ? "N/A" : `${humanDuration(Date.now() - image.created)} ago`,
      CreatedAt: new Date(image.created).toISOString(),
      Size: humanSize(image.size),
      Containers: String(image.containers),
      SharedSize: "N/A",
      UniqueSize: "N/A",
      VirtualSize: humanSize(image.size),
    };
  });
}

export function filters(given: readonly string[]): Record<string, string[]> {
  const all: Record<string, string[]> = {};
  for (const each of given) {
    const equals = each.indexOf("=");
    if (equals < 0)
      throw new SlipwayError(
        "USAGE",
        `invalid argument ${JSON.stringify(each)} for "-f, --filter" flag: bad format of filter (expected name=value)`,
        {
          exitCode: 125,
        },
      );
    const key = each.slice(0, equals);
    all[key] = [...(all[key] ?? []), each.slice(equals + 1)];
  }
  return all;
}
