import { SlipwayError } from "../../oci/SlipwayError.ts";
import { type Command, flag, keyValue, list } from "../Command.ts";
import { registryAccess, registryFlags } from "../registryFlags.ts";

export const command: Command = {
  usage: "[OPTIONS] SOURCE [SOURCE...]",
  summary: "Make one image of several platforms from images of registries, without downloading them",
  example:
    "slipway imagetools create -t registry.example.com/app:1 registry.example.com/app:1-amd64 registry.example.com/app:1-arm64",
  min: 0,
  flags: {
    tag: { type: "list", short: "t", help: "Name that the result gets (may be repeated)" },
    file: { type: "list", short: "f", help: "Take sources from the lines of a file" },
    append: { type: "bool", help: "Add to what the first name has already" },
    annotation: { type: "list", help: "Annotation of the index, KEY=VALUE or index:KEY=VALUE" },
    "dry-run": { type: "bool", help: "Show the result and write nothing" },
    ...registryFlags,
  },
  async run(call) {
    const { readFileSync } = await import("node:fs");
    const fromFiles = list(call, "file").flatMap((file) => readFileSync(file, "utf8").split("\n"));
    const sources = [...fromFiles.map((line) => line.trim()).filter((line) => line !== ""), ...call.positionals];
    const tags = list(call, "tag");
    const dryRun = flag(call, "dry-run");
    const append = flag(call, "append");
    if (sources.length === 0 && !append) throw new SlipwayError("USAGE", "no sources specified");
    if (tags.length === 0 && !dryRun)
      throw new SlipwayError("USAGE", "at least one tag is needed", { hint: "Name the result by -t." });
    const { createIndex } = await import("../../engine/images/imageIndexes.ts");
    const built = await createIndex(await call.engine(), {
      tags,
      sources,
      append,
      dryRun,
      annotations: Object.fromEntries(list(call, "annotation").map((each) => keyValue(each.replace(/^index:/, "")))),
      ...registryAccess(call),
    });
    if (dryRun) call.out(`${Buffer.from(built.bytes).toString("utf8")}\n`);
    else for (const tag of tags) call.err(`pushing ${built.descriptor.digest} to ${tag}\n`);
    return 0;
  },
};
