import type { EngineEvent } from "../../engine/events.ts";
import { barLine, createLayerLines, type LayerLinesOptions } from "./layerLines.ts";

type LayerEvent = Extract<EngineEvent, { type: "push.layer" }>;

const WORDS: Record<LayerEvent["status"], string> = {
  preparing: "Preparing",
  waiting: "Waiting",
  pushing: "Pushing",
  pushed: "Pushed",
  exists: "Layer already exists",
  mounted: "Mounted from",
};

/** Docker's lines of a push. */
export function createPushProgress(options: LayerLinesOptions): { event(event: EngineEvent): void; finish(): void } {
  const { write } = options;
  const lines = createLayerLines<LayerEvent>(options, { isThere, line });
  return {
    event(event) {
      switch (event.type) {
        case "push.start":
          write(`The push refers to repository [${event.repository}]\n`);
          return;
        case "push.done":
          lines.finish();
          write(`${event.tag}: digest: ${event.digest} size: ${event.size}\n`);
          return;
        case "push.partial":
          lines.finish();
          write(
            `Not all of the index ${event.source} is here: only ${event.images === 1 ? "the image that is" : `the ${event.images} images that are`} went up.\n`,
          );
          return;
        case "push.layer": {
          const before = lines.known(event.diffID);
          // A layer that two images share is told once.
          if (before !== undefined && isThere(before) && !isThere(event)) return;
          lines.show(event.diffID, event);
        }
      }
    },
    finish: lines.finish,
  };
}

function isThere({ status }: LayerEvent): boolean {
  return status === "pushed" || status === "exists" || status === "mounted";
}

function line(event: LayerEvent, width: number): string {
  const id = event.diffID.slice("sha256:".length, "sha256:".length + 12);
  const word = `${id}: ${WORDS[event.status]}${event.from === undefined ? "" : ` ${event.from}`}`;
  return barLine(word, event.status === "pushing" ? event : {}, width);
}
