import type { EngineEvent } from "../../engine/events.ts";
import type { PullProgressOptions } from "./pullProgress.ts";
import { barLine } from "./pullProgress.ts";
import { createScreen } from "./screen.ts";

type LayerEvent = Extract<EngineEvent, { type: "push.layer" }>;

const WORDS: Record<LayerEvent["status"], string> = {
  preparing: "Preparing",
  waiting: "Waiting",
  pushing: "Pushing",
  pushed: "Pushed",
  exists: "Layer already exists",
  mounted: "Mounted from",
};
const INTERVAL_MS = 100;

/** Docker's lines of a push: on a terminal one line a layer, drawn over in place; else one for each layer that is there. */
export function createPushProgress(options: PullProgressOptions): { event(event: EngineEvent): void; finish(): void } {
  const { write, size } = options;
  const layers = new Map<string, LayerEvent>();
  let screen = size === undefined ? undefined : createScreen(write, size);
  let lastDraw = 0;

  function draw(whole = false): void {
    if (screen === undefined) return;
    const { width, height } = screen.room();
    let shown = [...layers.values()];
    if (!whole && shown.length > height) shown = shown.filter((event) => !isThere(event)).slice(0, height);
    screen.draw(shown.map((event) => line(event, width)));
    lastDraw = Date.now();
  }

  function finish(): void {
    if (layers.size > 0) draw(true);
    layers.clear();
    if (size !== undefined) screen = createScreen(write, size);
  }

  return {
    event(event) {
      switch (event.type) {
        case "push.start":
          write(`The push refers to repository [${event.repository}]\n`);
          return;
        case "push.done":
          finish();
          write(`${event.tag}: digest: ${event.digest} size: ${event.size}\n`);
          return;
        case "push.layer": {
          const before = layers.get(event.diffID)?.status;
          // A layer that two images share is told once.
          if (before !== undefined && isThere({ status: before }) && !isThere(event)) return;
          layers.set(event.diffID, event);
          if (screen === undefined) {
            if (before !== event.status && isThere(event)) write(`${line(event, Number.POSITIVE_INFINITY)}\n`);
          } else if (before !== event.status || Date.now() - lastDraw > INTERVAL_MS) draw();
        }
      }
    },
    finish,
  };
}

function isThere({ status }: Pick<LayerEvent, "status">): boolean {
  return status === "pushed" || status === "exists" || status === "mounted";
}

function line(event: LayerEvent, width: number): string {
  const id = event.diffID.slice("sha256:".length, "sha256:".length + 12);
  const word = `${id}: ${WORDS[event.status]}${event.from === undefined ? "" : ` ${event.from}`}`;
  return barLine(word, event.status === "pushing" ? event : {}, width);
}
