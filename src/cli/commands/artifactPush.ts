import { SlipwayError } from "../../oci/SlipwayError.ts";
import { type Command, given, keyValue, list, text } from "../Command.ts";
import { copyProgress } from "../copyProgress.ts";
import { registryAccess, registryFlags } from "../registryFlags.ts";

const UNKNOWN_ARTIFACT = "application/vnd.unknown.artifact.v1";

export const command: Command = {
  usage: "[OPTIONS] NAME[:TAG] [FILE[:MEDIATYPE]...]",
  summary: "Upload files as an artifact, under a tag or about an image of the same repository",
  example:
    "slipway artifact push --artifact-type application/spdx+json --subject 1.0 registry.example.com/app sbom.json",
  min: 1,
  flags: {
    "artifact-type": { type: "string", help: `Kind of the artifact, a media type (default ${UNKNOWN_ARTIFACT})` },
    subject: { type: "string", help: "What it is about: a tag, digest or name of the same repository" },
    annotation: { type: "list", help: "Annotation of the manifest, KEY=VALUE (may be repeated)" },
    quiet: { type: "bool", short: "q", help: "Print the digest alone, and no progress" },
    ...registryFlags,
  },
  async run(call) {
    const [name = "", ...files] = call.positionals;
    const [{ basename }, { existsSync, statSync }] = await Promise.all([import("node:path"), import("node:fs")]);
    const { TITLE } = await import("../../engine/images/pullArtifact.ts");
    const { pushArtifact } = await import("../../engine/images/artifacts.ts");
    const progress = await copyProgress(call);
    const engine = await call.engine((event) => progress.event(event));
    const artifact = {
      artifactType: text(call, "artifact-type") ?? UNKNOWN_ARTIFACT,
      ...given("subject", text(call, "subject")),
      annotations: Object.fromEntries(list(call, "annotation").map((each) => keyValue(each))),
      files: files.map((file) => {
        const colon = file.lastIndexOf(":");
        // A file may have a colon in its name.
        const isWhole = colon < 0 || existsSync(file);
        const path = isWhole ? file : file.slice(0, colon);
        if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true)
          throw new SlipwayError("USAGE", `${path} is no file`);
        const content = Bun.file(path);
        const mediaType = isWhole ? (content.type.split(";")[0] as string) : file.slice(colon + 1);
        return { mediaType, content, annotations: { [TITLE]: basename(path) } };
      }),
    };
    try {
      const { digest } = await pushArtifact(engine, name, artifact, registryAccess(call));
      progress.finish();
      call.out(`${digest}\n`);
    } finally {
      progress.finish();
    }
    return 0;
  },
};
