export interface ScreenSize {
  rows: number;
  columns: number;
}

export interface Screen {
  /** Cells of a line, and lines, that can be drawn and drawn over. */
  room(): { width: number; height: number };
  /** Draws `lines` in the place of those of the last call. Each must fit into `room().width`, all but the last drawing into `room().height`. */
  draw(lines: readonly string[]): void;
}

/** Lines on a terminal that are drawn over and over in place. `size` is asked anew each time: terminals are resized. */
export function createScreen(write: (text: string) => void, size: () => ScreenSize): Screen {
  let widths: number[] = [];

  /** A terminal that does not know its size (a pseudo-terminal that nobody set) says 0. */
  function columns(): number {
    return size().columns || 80;
  }

  return {
    // The last column stays free, as terminals differ in what a full line does; the last row is the cursor's.
    room: () => ({ width: Math.max(1, columns() - 1), height: Math.max(1, (size().rows || 24) - 1) }),
    draw(lines) {
      // Where the terminal has become narrower, it has broken what was drawn into more lines.
      const broken = widths.reduce((sum, width) => sum + Math.max(1, Math.ceil(width / columns())), 0);
      const up = broken > 0 ? `\x1b[${broken}A` : "";
      // The cursor is hidden while the lines change, each is cleared behind its text, what is left below goes.
      write(`\x1b[?25l${up}${lines.map((line) => `\r${line}\x1b[K\n`).join("")}\x1b[J\x1b[?25h`);
      widths = lines.map((line) => Bun.stringWidth(line));
    },
  };
}

const plain = /^[\x20-\x7e]*$/;
const graphemes = new Intl.Segmenter();

/** As much of `line` as fits into `width` cells, tabs as blanks. What is cut loses its colours. */
export function fit(line: string, width: number): string {
  if (plain.test(line)) return line.slice(0, width);
  const text = line.includes("\t") ? tabsAsBlanks(line) : line;
  if (Bun.stringWidth(text) <= width) return text;
  let out = "";
  let used = 0;
  for (const { segment } of graphemes.segment(Bun.stripANSI(text))) {
    used += Bun.stringWidth(segment);
    if (used > width) break;
    out += segment;
  }
  return out;
}

/** `left`, and `right` at the right margin where there is room for both. */
export function justify(left: string, right: string, width: number): string {
  const room = width - Bun.stringWidth(right) - 1;
  if (room < 10) return fit(left, width);
  const shown = fit(left, room);
  return `${shown}${" ".repeat(Math.max(1, room - Bun.stringWidth(shown) + 1))}${right}`;
}

function tabsAsBlanks(line: string): string {
  let column = 0;
  return line
    .split("\t")
    .map((part, i, all) => {
      column += Bun.stringWidth(part);
      if (i === all.length - 1) return part;
      const blanks = 8 - (column % 8);
      column += blanks;
      return part + " ".repeat(blanks);
    })
    .join("");
}
