import type { EngineEvent } from "../../engine/events.ts";
import { humanSize } from "./humanSize.ts";
import { createScreen, fit, type ScreenSize } from "./screen.ts";

export interface PullProgressOptions {
  write(text: string): void;
  /** Of the terminal, asked anew for each drawing; none where there is no terminal. */
  size?: () => ScreenSize;
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
const BAR = 48;

/** Docker's lines of a pull: on a terminal one line a layer, drawn over in place; else a line for each layer that is there. */
export function createPullProgress(options: PullProgressOptions): { event(event: EngineEvent): void; finish(): void } {
  const { write, size } = options;
  const layers = new Map<string, LayerEvent>();
  let screen = size === undefined ? undefined : createScreen(write, size);
  let lastDraw = 0;

  function draw(whole = false): void {
    if (screen === undefined) return;
    const { width, height } = screen.room();
    let shown = [...layers.values()];
    // More than the screen holds: what is there already is left out.
    if (!whole && shown.length > height) shown = shown.filter((event) => !isThere(event)).slice(0, height);
    screen.draw(shown.map((event) => line(event, width)));
    lastDraw = Date.now();
  }

  return {
    event(event) {
      if (event.type !== "pull.layer") return;
      const before = layers.get(event.digest)?.status;
      layers.set(event.digest, event);
      if (screen === undefined) {
        if (before !== event.status && isThere(event)) write(`${line(event, Number.POSITIVE_INFINITY)}\n`);
        return;
      }
      if (before !== event.status || Date.now() - lastDraw > INTERVAL_MS) draw();
    },
    finish() {
      if (layers.size > 0) draw(true);
      // What comes then is another image, below.
      layers.clear();
      if (size !== undefined) screen = createScreen(write, size);
    },
  };
}

function isThere({ status }: LayerEvent): boolean {
  return status === "done" || status === "exists";
}

function line(event: LayerEvent, width: number): string {
  const id = event.digest.slice("sha256:".length, "sha256:".length + 12);
  const word = `${id}: ${WORDS[event.status]}`;
  return barLine(word, event.status === "downloading" ? event : {}, width);
}

/** What happens, with a bar where it is known how much there is to come. */
export function barLine(word: string, amounts: { current?: number; total?: number }, width: number): string {
  const { current = 0, total = 0 } = amounts;
  if (total === 0) return fit(current === 0 ? word : `${word} ${humanSize(current)}`, width);
  const full = Math.round(Math.min(1, current / total) * BAR);
  const amount = `${humanSize(current)}/${humanSize(total)}`;
  const whole = `${word} [${"=".repeat(full)}>${" ".repeat(BAR - full)}] ${amount}`;
  return whole.length <= width ? whole : fit(`${word} ${amount}`, width);
}
