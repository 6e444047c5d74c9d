import { type Command, flag } from "../Command.ts";
import { insecureFlag, registryAccess, registryFlags } from "../registryFlags.ts";

export const command: Command = {
  usage: "[OPTIONS] MANIFEST_LIST MANIFEST [MANIFEST...]",
  summary: "Make a manifest list from images of registries, to be annotated and pushed",
  example:
    "slipway manifest create registry.example.com/app:1 registry.example.com/app:1-amd64 registry.example.com/app:1-arm64",
  min: 2,
  flags: {
    amend: { type: "bool", short: "a", help: "Add to a list that is here already" },
    insecure: insecureFlag,
    ...registryFlags,
  },
  async run(call) {
    const [name = "", ...images] = call.positionals;
    const { createManifestList } = await import("../../engine/images/manifestLists.ts");
    const engine = await call.engine();
    const created = await createManifestList(engine, name, images, {
      amend: flag(call, "amend"),
      ...registryAccess(call),
    });
    call.out(`Created manifest list ${created}\n`);
    return 0;
  },
};
