import type { EngineEvent } from "../../engine/events.ts";
import { humanSize } from "./humanSize.ts";

export interface PullProgressOptions {
  write(text: string): void;
  tty: boolean;
  columns(): number;
}

type LayerEvent = Extract<EngineEvent, { type: "pull.layer" }>;

const WORDS: Record<LayerEvent["status"], string> = {
  waiting: "Waiting",
  downloading: "Downloading",
  verifying: "Verifying Checksum",
  extracting: "Extracting",
  done: "Pull complete",
  exists: "Already exists",
};
const INTERVAL_MS = 100;

/** Docker's lines of a pull: on a terminal one line a layer, drawn over in place; else a line for each layer that is there. */
export function createPullProgress(options: PullProgressOptions): { event(event: EngineEvent): void; finish(): void } {
  const layers = new Map<string, LayerEvent>();
  let drawn = 0;
  let lastDraw = 0;

  function line(event: LayerEvent): string {
    const id = event.digest.slice("sha256:".length, "sha256:".length + 12);
    const word = `${id}: ${WORDS[event.status]}`;
    if (event.status !== "downloading" || event.total === undefined || event.total === 0) return word;
    const part = Math.min(1, (event.current ?? 0) / event.total);
    const bar = `[${"=".repeat(Math.round(part * 48))}>${" ".repeat(48 - Math.round(part * 48))}]`;
    const amount = `${humanSize(event.current ?? 0)}/${humanSize(event.total)}`;
    const whole = `${word} ${bar} ${amount}`;
    return whole.length < options.columns() ? whole : `${word} ${amount}`;
  }

  function draw(): void {
    const up = drawn > 0 ? `\x1b[${drawn}A` : "";
    options.write(up + [...layers.values()].map((event) => `\r${line(event)}\x1b[K\n`).join(""));
    drawn = layers.size;
    lastDraw = Date.now();
  }

  return {
    event(event) {
      if (event.type !== "pull.layer") return;
      const before = layers.get(event.digest);
      layers.set(event.digest, event);
      if (!options.tty) {
        if (before?.status !== event.status && (event.status === "done" || event.status === "exists"))
          options.write(`${line(event)}\n`);
        return;
      }
      if (before?.status !== event.status || Date.now() - lastDraw > INTERVAL_MS) draw();
    },
    finish() {
      if (options.tty && layers.size > 0) draw();
    },
  };
}
