import { findBuild, listBuilds } from "../../engine/build/buildRecords.ts";
import { removeBuild } from "../../engine/prune/pruneBuilds.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { type Command, flag } from "../Command.ts";
import { forEach } from "../forEach.ts";

export const command: Command = {
  usage: "[OPTIONS] BUILD [BUILD...]",
  summary: "Remove recorded builds, with their logs; what they built stays",
  example: "slipway builds rm --all",
  min: 0,
  flags: { all: { type: "bool", help: "All of them" } },
  async run(call) {
    const engine = await call.engine();
    if (flag(call, "all")) {
      for (const { id } of listBuilds(engine)) {
        removeBuild(engine, id);
        call.out(`${id}\n`);
      }
      return 0;
    }
    if (call.positionals.length === 0)
      throw new SlipwayError("USAGE", "'slipway builds rm' takes a build, or --all", {
        hint: "`slipway builds` lists the recorded builds.",
      });
    return forEach(call, async (prefix) => {
      const { id } = findBuild(engine, prefix);
      removeBuild(engine, id);
      call.out(`${id}\n`);
    });
  },
};
