import { createVolume } from "../../engine/volumes/volumeRecords.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { type Command, given, keyValue, list, text } from "../Command.ts";

const cluster = { type: "string", help: "", unsupported: "there are no clusters" } as const;

export const command: Command = {
  usage: "[OPTIONS] [VOLUME]",
  summary: "Make a volume",
  example: "slipway volume create --label app=web data",
  min: 0,
  max: 1,
  flags: {
    driver: { type: "string", short: "d", help: "local" },
    label: { type: "list", help: "Label, KEY=VALUE" },
    name: { type: "string", help: "The same as the argument" },
    opt: {
      type: "list",
      short: "o",
      help: "",
      unsupported: "a volume is a directory of the store; mount other places by -v",
    },
    availability: cluster,
    group: cluster,
    scope: cluster,
    sharing: cluster,
    type: cluster,
  },
  async run(call) {
    const driver = text(call, "driver");
    if (driver !== undefined && driver !== "local") {
      throw new SlipwayError("USAGE", `volume driver ${driver} is not there`, { hint: "There is `local`." });
    }
    const [argument] = call.positionals;
    const name = text(call, "name");
    if (argument !== undefined && name !== undefined)
      throw new SlipwayError(
        "USAGE",
        "conflicting options: cannot specify a volume-name through both --name and as a positional arg",
      );
    const volume = createVolume(await call.engine(), {
      labels: Object.fromEntries(list(call, "label").map(keyValue)),
      anonymous: (argument ?? name) === undefined,
      ...given("name", argument ?? name),
    });
    call.out(`${volume.name}\n`);
    return 0;
  },
};
