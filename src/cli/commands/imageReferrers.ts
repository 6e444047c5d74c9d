import { type Command, flag, given, text } from "../Command.ts";
import { humanSize } from "../render/humanSize.ts";
import { printRows } from "../render/printRows.ts";
import { registryAccess, registryFlags } from "../registryFlags.ts";

export const command: Command = {
  usage: "[OPTIONS] NAME[:TAG|@DIGEST]",
  summary: "List what is about an image or artifact in its registry: signatures, SBOMs, attestations",
  example: "slipway image referrers --artifact-type application/spdx+json registry.example.com/app:1.0",
  min: 1,
  max: 1,
  flags: {
    "artifact-type": { type: "string", help: "Only those of this kind" },
    quiet: { type: "bool", short: "q", help: "Digests only" },
    format: { type: "string", help: "json, table or a Go template" },
    ...registryFlags,
  },
  async run(call) {
    const [name = ""] = call.positionals;
    const { referrers } = await import("../../engine/images/artifacts.ts");
    const found = await referrers(await call.engine(), name, {
      ...given("artifactType", text(call, "artifact-type")),
      ...registryAccess(call),
    });
    if (flag(call, "quiet")) {
      for (const { digest } of found) call.out(`${digest}\n`);
      return 0;
    }
    const rows = found.map(({ digest, artifactType = "", mediaType, size, annotations = {} }) => ({
      Digest: digest,
      ArtifactType: artifactType,
      MediaType: mediaType,
      Size: humanSize(size),
      Annotations: Object.entries(annotations)
        .map(([key, value]) => `${key}=${value}`)
        .join(","),
    }));
    const columns: [string, string][] = [
      ["DIGEST", "Digest"],
      ["ARTIFACT TYPE", "ArtifactType"],
      ["SIZE", "Size"],
      ["ANNOTATIONS", "Annotations"],
    ];
    await printRows(call.out, rows, columns, text(call, "format"));
    return 0;
  },
};
