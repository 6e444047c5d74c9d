import { StringDecoder } from "node:string_decoder";

/** A line longer than this is broken: a log without line ends must not be held in memory. */
const MAX_LINE = 64 * 1024;

/** Cuts a stream of bytes into lines, fit for a terminal: of a line that was drawn over by `\r` the last state, without control characters. */
export function lineSplitter(): { push(data: Uint8Array): string[]; rest(): string } {
  const decoder = new StringDecoder("utf8");
  let open = "";
  return {
    push(data) {
      open += decoder.write(Buffer.from(data.buffer, data.byteOffset, data.byteLength));
      const lines = open.split("\n");
      open = lines.pop() ?? "";
      while (open.length > MAX_LINE) {
        lines.push(open.slice(0, MAX_LINE));
        open = open.slice(MAX_LINE);
      }
      return lines.map(printable);
    },
    rest() {
      const line = open + decoder.end();
      open = "";
      return line === "" ? "" : printable(line);
    },
  };
}

/** Colours stay; all that moves the cursor, clears, rings or asks the terminal something goes. */
export function printable(line: string): string {
  const drawn = line.replace(/\r+$/, "");
  const last = drawn.slice(drawn.lastIndexOf("\r") + 1);
  return last
    .replace(/\x1b\[[0-9;]*m|\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])/g, (code) =>
      /^\x1b\[[0-9;]*m$/.test(code) ? code : "",
    )
    .replace(/[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f]|\x1b(?!\[[0-9;]*m)/g, "");
}
