import { pruneNetworks } from "../../engine/networks/networks.ts";
import { pruneFilters } from "../../engine/prune/pruneFilters.ts";
import { type Command, list } from "../Command.ts";
import { forceFlag, isConfirmed, printDeleted } from "../prune.ts";
import { filters } from "./images.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  summary: "Remove all networks that no running container is in",
  example: "slipway network prune -f",
  min: 0,
  max: 0,
  flags: { force: forceFlag, filter: { type: "list", help: "until=TIME, label=KEY[=VALUE], label!=KEY[=VALUE]" } },
  async run(call) {
    const wanted = pruneFilters(filters(list(call, "filter")), ["until", "label", "label!"]);
    if (!isConfirmed(call, "This will remove all custom networks not used by at least one container.\n")) return 0;
    printDeleted(call, "Deleted Networks:", pruneNetworks(await call.engine(), wanted));
    return 0;
  },
};
