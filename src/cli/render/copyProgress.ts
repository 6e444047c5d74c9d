import type { EngineEvent } from "../../engine/events.ts";
import { barLine, createLayerLines, type LayerLinesOptions } from "./layerLines.ts";

interface Line {
  status: "waiting" | "copying" | "unpacking" | "copied" | "exists" | "mounted";
  digest: string;
  current?: number;
  total?: number;
}

const WORDS: Record<Line["status"], string> = {
  waiting: "Waiting",
  copying: "Copying",
  unpacking: "Extracting",
  copied: "Copied",
  exists: "Already exists",
  mounted: "Mounted",
};

const OF_PULL = {
  waiting: "waiting",
  downloading: "copying",
  verifying: "copying",
  extracting: "unpacking",
  done: "copied",
  exists: "exists",
} as const;

const OF_PUSH = {
  preparing: "waiting",
  waiting: "waiting",
  pushing: "copying",
  pushed: "copied",
  exists: "exists",
  mounted: "mounted",
} as const;

/** Lines of a copy between any two places, as those of a pull and a push. */
export function createCopyProgress(options: LayerLinesOptions): { event(event: EngineEvent): void; finish(): void } {
  const isThere = ({ status }: Line): boolean => status === "copied" || status === "exists" || status === "mounted";
  const lines = createLayerLines<Line>(options, {
    isThere,
    line: (line, width) =>
      barLine(
        `${line.digest.slice("sha256:".length, "sha256:".length + 12)}: ${WORDS[line.status]}`,
        line.status === "copying" ? line : {},
        width,
      ),
  });
  function show(line: Line): void {
    const before = lines.known(line.digest);
    // A blob that two images share is told once.
    if (before !== undefined && isThere(before)) return;
    lines.show(line.digest, line);
  }
  return {
    event(event) {
      if (event.type === "copy.blob") show(event);
      else if (event.type === "pull.layer") show({ ...event, status: OF_PULL[event.status] });
      else if (event.type === "push.layer") show({ ...event, digest: event.diffID, status: OF_PUSH[event.status] });
    },
    finish: lines.finish,
  };
}
