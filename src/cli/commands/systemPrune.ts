import type { Engine } from "../../engine/Engine.ts";
import { pruneNetworks } from "../../engine/networks/networks.ts";
import { pruneCache } from "../../engine/prune/pruneCache.ts";
import { pruneContainers, type Pruned } from "../../engine/prune/pruneContainers.ts";
import { pruneFilters } from "../../engine/prune/pruneFilters.ts";
import { pruneImages } from "../../engine/prune/pruneImages.ts";
import { pruneVolumes } from "../../engine/prune/pruneVolumes.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { type Command, flag, list } from "../Command.ts";
import { forceFlag, isConfirmed, printDeleted, printFreed } from "../prune.ts";
import { filters } from "./images.ts";

/** One kind of what goes. */
interface Part {
  warning: string;
  title: string;
  prune(engine: Engine): Promise<Pruned> | Pruned;
}

export const command: Command = {
  usage: "[OPTIONS]",
  summary: "Remove stopped containers, images without a name and the build cache; with -a all that no container uses",
  example: "slipway system prune -a --volumes",
  min: 0,
  max: 0,
  flags: {
    all: { type: "bool", short: "a", help: "All images that no container uses, and all that the cache knows" },
    volumes: { type: "bool", help: "Also volumes without a name that no container has" },
    force: forceFlag,
    filter: { type: "list", help: "until=TIME, label=KEY[=VALUE], label!=KEY[=VALUE]" },
  },
  async run(call) {
    const [all, volumes] = [flag(call, "all"), flag(call, "volumes")];
    const given = filters(list(call, "filter"));
    const wanted = pruneFilters(given, ["until", "label", "label!"]);
    if (volumes && wanted.before !== undefined)
      throw new SlipwayError("USAGE", 'the "until" filter is not supported with "--volumes"');
    // What is used by others comes after them. A further kind is a further part.
    const parts: Part[] = [
      {
        warning: "all stopped containers",
        title: "Deleted Containers:",
        prune: (engine) => pruneContainers(engine, wanted),
      },
      {
        warning: "all networks not used by at least one container",
        title: "Deleted Networks:",
        prune: (engine) => ({ deleted: pruneNetworks(engine, wanted), freed: 0 }),
      },
      ...(volumes
        ? [
            {
              warning: "all anonymous volumes not used by at least one container",
              title: "Deleted Volumes:",
              prune: (engine: Engine) => pruneVolumes(engine, { ...wanted, all: false }),
            },
          ]
        : []),
      {
        warning: all ? "all images without at least one container associated to them" : "all dangling images",
        title: "Deleted Images:",
        prune: (engine) => pruneImages(engine, { ...wanted, all }),
      },
      // The cache has no labels, so that none of it fits where one is asked for.
      ...(given.label === undefined ? [cachePart(all, given.until ?? [])] : []),
    ];
    if (!isConfirmed(call, warningOf(parts, list(call, "filter")))) return 0;
    const engine = await call.engine();
    let total = 0;
    for (const { title, prune } of parts) {
      const { deleted, freed } = await prune(engine);
      printDeleted(call, title, deleted);
      total += freed;
    }
    printFreed(call, total);
    return 0;
  },
};

function cachePart(all: boolean, until: string[]): Part {
  return {
    warning: all ? "all build cache" : "unused build cache",
    title: "Deleted build cache objects:",
    async prune(engine) {
      const { removed, freed } = await pruneCache(engine, { all, filters: until.length === 0 ? {} : { until } });
      return { deleted: removed.map(({ id }) => id.replace(/^sha256:/, "")), freed };
    },
  };
}

function warningOf(parts: readonly Part[], given: readonly string[]): string {
  const lines = ["This will remove:", ...parts.map(({ warning }) => `  - ${warning}`)];
  if (given.length > 0)
    lines.push("", "  Items to be pruned will be filtered with:", ...given.map((each) => `  - ${each}`));
  return `${lines.join("\n")}\n\n`;
}
