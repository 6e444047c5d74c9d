import { type Command, given, list, text } from "../Command.ts";

export const command: Command = {
  usage: "[OPTIONS] MANIFEST_LIST MANIFEST",
  summary: "Say which platform an image of a manifest list is for",
  example: "slipway manifest annotate --arch arm64 registry.example.com/app:1 registry.example.com/app:1-arm64",
  min: 2,
  max: 2,
  flags: {
    arch: { type: "string", help: "Architecture" },
    os: { type: "string", help: "Operating system" },
    "os-features": { type: "list", help: "Features of the operating system" },
    "os-version": { type: "string", help: "Version of the operating system" },
    variant: { type: "string", help: "Variant of the architecture" },
  },
  async run(call) {
    const [name = "", image = ""] = call.positionals;
    const { annotateManifestList } = await import("../../engine/images/manifestLists.ts");
    const features = list(call, "os-features").flatMap((each) => each.split(","));
    annotateManifestList(await call.engine(), name, image, {
      ...given("architecture", text(call, "arch")),
      ...given("os", text(call, "os")),
      ...given("os.version", text(call, "os-version")),
      ...given("variant", text(call, "variant")),
      ...(features.length === 0 ? {} : { "os.features": features }),
    });
    return 0;
  },
};
