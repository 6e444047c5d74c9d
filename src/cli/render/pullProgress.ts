import type { EngineEvent } from "../../engine/events.ts";
import { barLine, createLayerLines, type LayerLinesOptions } from "./layerLines.ts";

type LayerEvent = Extract<EngineEvent, { type: "pull.layer" }>;

const WORDS: Record<LayerEvent["status"], string> = {
  waiting: "Waiting",
  downloading: "Downloading",
  verifying: "Verifying Checksum",
  extracting: "Extracting",
  done: "Pull complete",
  exists: "Already exists",
};

/** Docker's lines of a pull. */
export function createPullProgress(options: LayerLinesOptions): { event(event: EngineEvent): void; finish(): void } {
  const lines = createLayerLines<LayerEvent>(options, {
    isThere: ({ status }) => status === "done" || status === "exists",
    line,
  });
  return {
    event(event) {
      if (event.type === "pull.layer") lines.show(event.digest, event);
    },
    finish: lines.finish,
  };
}

function line(event: LayerEvent, width: number): string {
  const id = event.digest.slice("sha256:".length, "sha256:".length + 12);
  const word = `${id}: ${WORDS[event.status]}`;
  return barLine(word, event.status === "downloading" ? event : {}, width);
}
