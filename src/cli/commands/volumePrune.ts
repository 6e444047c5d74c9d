import { pruneFilters } from "../../engine/prune/pruneFilters.ts";
import { pruneVolumes } from "../../engine/prune/pruneVolumes.ts";
import { type Command, flag, list } from "../Command.ts";
import { forceFlag, isConfirmed, printDeleted, printFreed } from "../prune.ts";
import { filters } from "./images.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  summary: "Remove volumes without a name that no container has; with -a those with one, too",
  example: "slipway volume prune -a",
  min: 0,
  max: 0,
  flags: {
    all: { type: "bool", short: "a", help: "Also volumes that have a name" },
    force: forceFlag,
    filter: { type: "list", help: "label=KEY[=VALUE], label!=KEY[=VALUE]" },
  },
  async run(call) {
    const { all: every, ...given } = filters(list(call, "filter"));
    const all = flag(call, "all") || (every?.some((value) => /^(1|true)$/i.test(value)) ?? false);
    const wanted = pruneFilters(given, ["label", "label!"]);
    const which = all ? "local volumes" : "anonymous local volumes";
    if (!isConfirmed(call, `This will remove ${all ? "all " : ""}${which} not used by at least one container.\n`))
      return 0;
    const { deleted, freed } = pruneVolumes(await call.engine(), { ...wanted, all });
    printDeleted(call, "Deleted Volumes:", deleted);
    printFreed(call, freed);
    return 0;
  },
};
