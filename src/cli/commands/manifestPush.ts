import { type Command, flag } from "../Command.ts";
import { insecureFlag, registryAccess, registryFlags } from "../registryFlags.ts";

export const command: Command = {
  usage: "[OPTIONS] MANIFEST_LIST",
  summary: "Upload a manifest list, and what other repositories have of its images",
  example: "slipway manifest push registry.example.com/app:1",
  min: 1,
  max: 1,
  flags: {
    purge: { type: "bool", short: "p", help: "Forget the list afterwards" },
    insecure: insecureFlag,
    ...registryFlags,
  },
  async run(call) {
    const [name = ""] = call.positionals;
    const { pushManifestList } = await import("../../engine/images/manifestLists.ts");
    const digest = await pushManifestList(await call.engine(), name, {
      purge: flag(call, "purge"),
      ...registryAccess(call),
    });
    call.out(`${digest}\n`);
    return 0;
  },
};
