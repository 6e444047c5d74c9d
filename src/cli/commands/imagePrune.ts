import { pruneFilters } from "../../engine/prune/pruneFilters.ts";
import { pruneImages } from "../../engine/prune/pruneImages.ts";
import { type Command, flag, list } from "../Command.ts";
import { forceFlag, isConfirmed, printDeleted, printFreed } from "../prune.ts";
import { filters } from "./images.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  summary: "Remove images without a name; with -a all that no container uses",
  example: "slipway image prune -a --filter until=240h",
  min: 0,
  max: 0,
  flags: {
    all: { type: "bool", short: "a", help: "All images that no container uses, not only those without a name" },
    force: forceFlag,
    filter: { type: "list", help: "until=TIME, label=KEY[=VALUE], label!=KEY[=VALUE]" },
  },
  async run(call) {
    const { dangling, ...given } = filters(list(call, "filter"));
    const all = flag(call, "all") || (dangling?.some((value) => /^(0|false)$/i.test(value)) ?? false);
    const wanted = pruneFilters(given, ["until", "label", "label!"]);
    const warning = all
      ? "This will remove all images without at least one container associated to them.\n"
      : "This will remove all dangling images.\n";
    if (!isConfirmed(call, warning)) return 0;
    const { deleted, freed } = await pruneImages(await call.engine(), { ...wanted, all });
    printDeleted(call, "Deleted Images:", deleted);
    printFreed(call, freed);
    return 0;
  },
};
