import { type Command, flag } from "../Command.ts";
import { insecureFlag, registryAccess, registryFlags } from "../registryFlags.ts";

export const command: Command = {
  usage: "[OPTIONS] [MANIFEST_LIST] MANIFEST",
  summary: "Show a manifest list that is here, or a manifest of a registry, as JSON",
  example: "slipway manifest inspect alpine",
  min: 1,
  max: 2,
  flags: {
    verbose: { type: "bool", short: "v", help: "With the descriptor and, for each entry, its manifest" },
    insecure: insecureFlag,
    ...registryFlags,
  },
  async run(call) {
    const name = call.positionals.at(-1) as string;
    const engine = await call.engine();
    const { draftedIndex } = await import("../../engine/images/manifestLists.ts");
    const draft = draftedIndex(engine, name);
    const print = (value: unknown): void => call.out(`${JSON.stringify(value, undefined, 3)}\n`);
    if (draft !== undefined) {
      print(JSON.parse(Buffer.from(draft.bytes).toString("utf8")));
      return 0;
    }
    const { createPlaces, entriesOf, findManifest } = await import("../../engine/images/imageIndexes.ts");
    const { parseReference } = await import("../../oci/reference.ts");
    const reference = parseReference(name);
    const place = createPlaces(engine, registryAccess(call))(reference);
    const found = await findManifest(place, reference);
    if (!flag(call, "verbose")) {
      print(JSON.parse(Buffer.from(found.bytes).toString("utf8")));
      return 0;
    }
    const shown: unknown[] = [];
    for (const { descriptor } of await entriesOf(place, found)) {
      const { bytes } = await place.registry.manifest(place.path, descriptor.digest);
      const Ref = `${place.domain}/${place.path}@${descriptor.digest}`;
      shown.push({ Ref, Descriptor: descriptor, Manifest: JSON.parse(Buffer.from(bytes).toString("utf8")) });
    }
    print("manifests" in found.manifest ? shown : shown[0]);
    return 0;
  },
};
