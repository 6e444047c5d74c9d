import { humanSize } from "./humanSize.ts";
import { createScreen, fit, type ScreenSize } from "./screen.ts";

export interface LayerLinesOptions {
  write(text: string): void;
  /** Of the terminal, asked anew for each drawing; none where there is no terminal. */
  size?: () => ScreenSize;
}

/** What a pull and a push differ in. */
export interface LayerLook<Event> {
  /** There is no more to come. */
  isThere(event: Event): boolean;
  line(event: Event, width: number): string;
}

const INTERVAL_MS = 100;
const BAR = 48;

/** Docker's lines of layers on their way: on a terminal one a layer, drawn over in place; else one for each layer that is there. */
export function createLayerLines<Event extends { status: string }>(
  { write, size }: LayerLinesOptions,
  { isThere, line }: LayerLook<Event>,
): { known(id: string): Event | undefined; show(id: string, event: Event): void; finish(): void } {
  const layers = new Map<string, Event>();
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
    known: (id) => layers.get(id),
    show(id, event) {
      const before = layers.get(id)?.status;
      layers.set(id, event);
      if (screen === undefined) {
        if (before !== event.status && isThere(event)) write(`${line(event, Number.POSITIVE_INFINITY)}\n`);
      } else if (before !== event.status || Date.now() - lastDraw > INTERVAL_MS) draw();
    },
    finish() {
      if (layers.size > 0) draw(true);
      // What comes then is another image, below.
      layers.clear();
      if (size !== undefined) screen = createScreen(write, size);
    },
  };
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
