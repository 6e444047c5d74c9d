import { StringDecoder } from "node:string_decoder";

/** A line longer than this is broken: a log without line ends must not be held in memory. */
const MAX_LINE = 64 * 1024;
const LINE_FEED = 0x0a;

/** Cuts a stream of bytes into lines that are `printable`, whatever the bytes are. */
export function lineSplitter(): {
  /** The lines that end in the bytes; only the last `most` of them, where that is said: those before need not be made at all. */
  push(data: Uint8Array, most?: number): string[];
  rest(): string;
} {
  let decoder = new StringDecoder("utf8");
  let open = "";
  return {
    push(given, most) {
      const start = most === undefined ? 0 : startOfLast(given, most);
      if (start > 0) {
        open = "";
        decoder = new StringDecoder("utf8");
      }
      const data = given.subarray(start);
      open += decoder.write(Buffer.from(data.buffer, data.byteOffset, data.byteLength));
      const plain = !suspectText.test(open);
      const lines = open.split("\n");
      open = lines.pop() ?? "";
      const pieces = lines.some((line) => line.length > MAX_LINE) ? lines.flatMap(broken) : lines;
      if (open.length > MAX_LINE) {
        const parts = broken(open);
        open = parts.pop() ?? "";
        pieces.push(...parts);
      }
      // Endless output is millions of short lines: they are looked at all together.
      return plain ? pieces : pieces.map(printable);
    },
    rest() {
      const line = open + decoder.end();
      open = "";
      return line === "" ? "" : printable(line);
    },
  };
}

/** Where the last so many lines begin that end in the bytes; 0 where there are no more. An end of line is no part of another character. */
function startOfLast(data: Uint8Array, lines: number): number {
  let at = data.length;
  for (let found = 0; found <= lines; found++) {
    at = at === 0 ? -1 : data.lastIndexOf(LINE_FEED, at - 1);
    if (at < 0) return 0;
  }
  return at + 1;
}

function broken(line: string): string[] {
  if (line.length <= MAX_LINE) return [line];
  const parts: string[] = [];
  for (let at = 0; at < line.length; ) {
    let end = Math.min(line.length, at + MAX_LINE);
    // Not between the halves of a character.
    if (end < line.length && /[\ud800-\udbff]/.test(line[end - 1] as string)) end--;
    parts.push(line.slice(at, end));
    at = end;
  }
  return parts;
}

/** SGR, then all other control sequences: CSI, OSC, strings, those with an intermediate, those of one character. */
const sequences =
  /\x1b\[[0-9;:]*m|\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]+[0-~]|[0-Z\\-~])/g;
const colour = /^\x1b\[[0-9;:]*m$/;
const controls = /[\x00-\x08\x0a-\x1a\x1c-\x1f\x7f-\x9f]|\x1b(?!\[[0-9;:]*m)/g;
const suspectText = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/;
const suspect = /[\x00-\x08\x0a-\x1f\x7f-\x9f]/;

/**
 * The line as a terminal would show it in the end: of one that was drawn over by `\r` the last state, colours kept and ended with the line.
 * All that moves the cursor, clears, rings or asks the terminal something is left out; tabs stay.
 */
export function printable(line: string): string {
  if (!suspect.test(line)) return line;
  const drawn = line.replace(/\r+$/, "");
  const text = drawn
    .slice(drawn.lastIndexOf("\r") + 1)
    .replace(sequences, (code) => (colour.test(code) ? code : ""))
    .replace(controls, "");
  const last = text.lastIndexOf("\x1b[");
  return last < 0 || /^\x1b\[0?m/.test(text.slice(last)) ? text : `${text}\x1b[0m`;
}

/** A text of others in one line without control characters and colours: names of steps, messages of registries. */
export function oneLine(text: string): string {
  return Bun.stripANSI(printable(text.replace(/\s*[\r\n]+\s*/g, " ")));
}
