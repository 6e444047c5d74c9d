import { pruneCache } from "../../engine/prune/pruneCache.ts";
import { type Command, flag, list } from "../Command.ts";
import { forceFlag, isConfirmed, limitFlags, limitsFrom, printDeleted, printFreed } from "../prune.ts";
import { filters } from "./images.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  summary: "Remove build cache, what was used longest ago first; nothing that is in use, no image",
  example: "slipway builder prune --max-used-space 5GB",
  min: 0,
  max: 0,
  flags: {
    all: { type: "bool", short: "a", help: "Forget also which steps gave the layers that images have" },
    force: forceFlag,
    filter: { type: "list", help: "until, unused-for, id, type, description, inuse, shared, private = VALUE" },
    ...limitFlags,
    verbose: { type: "bool", help: "Accepted: what goes is always listed" },
  },
  async run(call) {
    const all = flag(call, "all");
    const engine = await call.engine();
    const options = { all, filters: filters(list(call, "filter")), limits: limitsFrom(call, engine) };
    if (!isConfirmed(call, `This will remove all ${all ? "" : "dangling "}build cache. `)) return 0;
    const { removed, freed } = await pruneCache(engine, options);
    printDeleted(
      call,
      "Deleted build cache objects:",
      removed.map(({ id }) => id.replace(/^sha256:/, "")),
    );
    printFreed(call, freed);
    return 0;
  },
};
