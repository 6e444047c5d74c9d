import { cacheFilter } from "../../engine/prune/pruneCache.ts";
import { type Command, list } from "../Command.ts";
import { forceFlag, isConfirmed, limitFlags, limitsFrom, printDeleted, printFreed } from "../prune.ts";
import { filters } from "./images.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  summary: "Remove cache mounts, but those of running builds",
  example: "slipway cache prune --id npm",
  min: 0,
  max: 0,
  flags: {
    id: { type: "list", help: "Only those with this id (may be repeated)" },
    force: forceFlag,
    filter: { type: "list", help: "until=TIME: not used since" },
    ...limitFlags,
  },
  async run(call) {
    const ids = list(call, "id");
    const fits = cacheFilter(filters(list(call, "filter")));
    const engine = await call.engine();
    const limits = limitsFrom(call, engine);
    const which = ids.length === 0 ? "all cache mounts" : `the cache mounts ${ids.join(", ")}`;
    if (!isConfirmed(call, `This will remove ${which}.\n`)) return 0;
    const { removed, freed } = await (await engine.store.collector()).collect({
      limits,
      matches: (entry) =>
        entry.kind === "mount" && (ids.length === 0 || ids.includes(entry.value as string)) && fits(entry),
    });
    printDeleted(
      call,
      "Deleted cache mounts:",
      removed.map(({ id, value }) => `${value} (${id})`),
    );
    printFreed(call, freed);
    return 0;
  },
};
