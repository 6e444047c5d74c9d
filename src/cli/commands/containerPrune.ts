import { pruneContainers } from "../../engine/prune/pruneContainers.ts";
import { pruneFilters } from "../../engine/prune/pruneFilters.ts";
import { type Command, list } from "../Command.ts";
import { forceFlag, isConfirmed, printDeleted, printFreed } from "../prune.ts";
import { filters } from "./images.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  summary: "Remove all stopped containers",
  example: "slipway container prune -f",
  min: 0,
  max: 0,
  flags: {
    force: forceFlag,
    filter: { type: "list", help: "until=TIME, label=KEY[=VALUE], label!=KEY[=VALUE]" },
  },
  async run(call) {
    const wanted = pruneFilters(filters(list(call, "filter")), ["until", "label", "label!"]);
    if (!isConfirmed(call, "This will remove all stopped containers.\n")) return 0;
    const { deleted, freed } = await pruneContainers(await call.engine(), wanted);
    printDeleted(call, "Deleted Containers:", deleted);
    printFreed(call, freed);
    return 0;
  },
};
