import { describe, expect, test } from "bun:test";
import { lineSplitter, oneLine, printable } from "./lineSplitter.ts";
import { createLogTail } from "./logTail.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

describe("a step's log as lines", () => {
  test("come whole whatever the pieces are, a character cut in two among them", () => {
    const splitter = lineSplitter();
    const all = bytes("one\ntwö\r\n\n日本\nrest");
    const lines = [...all].flatMap((byte) => splitter.push(Uint8Array.of(byte)));
    expect([...lines, splitter.rest(), splitter.rest()]).toEqual(["one", "twö", "", "日本", "rest", ""]);
  });

  test("the last of them are those that come without a limit, whatever was open before", () => {
    const pieces = ["open ü", "a\nb\nc\nd ö", "e\n", "\n\n\n", "f\rg\nh\n", "\n", "i"].map(bytes);
    for (const most of [0, 1, 2, 5]) {
      const [whole, limited] = [lineSplitter(), lineSplitter()];
      for (const piece of pieces) {
        const lines = whole.push(piece);
        expect(limited.push(piece, most)).toEqual(lines.slice(Math.max(0, lines.length - most)));
      }
      expect(limited.rest()).toBe(whole.rest());
    }
  });

  test("without an end are broken, not held, and not in the middle of a character", () => {
    const splitter = lineSplitter();
    const piece = bytes("x🙂".repeat(10_000));
    const lines = Array.from({ length: 40 }, () => splitter.push(piece)).flat();
    lines.push(...splitter.push(bytes(`${"🙂".repeat(100_000)}\n`)), splitter.rest());
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(64 * 1024);
    expect(lines.join("")).toBe("x🙂".repeat(400_000) + "🙂".repeat(100_000));
    expect(lines.every((line) => line.isWellFormed())).toBe(true);
  });

  test.each<[name: string, line: string, shown: string]>([
    ["plain text and tabs stay", "a\tb ü", "a\tb ü"],
    ["of a line drawn over the last state is shown", "10%\r20%\r100%\r", "100%"],
    ["colours stay and end with the line", "\x1b[1;31mred", "\x1b[1;31mred\x1b[0m"],
    ["colours that end by themselves are left alone", "\x1b[38:5:1mred\x1b[m.", "\x1b[38:5:1mred\x1b[m."],
    ["the cursor is not moved, the screen not cleared", "\x1b[2J\x1b[1;1Ha\x1b[?25lb\x1b7\x1bcc\x1b=", "abc"],
    ["titles, links and questions go", "\x1b]0;t\x07a\x1b]8;;http://x\x1b\\b\x1b[6nc\x1bP$q\x1b\\d", "abcd"],
    ["character sets go", "\x1b(Bbold\x1b[m", "bold\x1b[m"],
    ["control characters of one byte and of two go", "a\x00\x07\x08\x7f\x9b2Jb\x85", "a2Jb"],
    ["a sequence that never ends is no sequence", "a\x1b[12", "a[12"],
  ])("%s", (_, line, shown) => expect(printable(line)).toBe(shown));

  test("a name is one line without colours", () => {
    expect(oneLine("RUN <<EOF\r\n  \x1b[31mecho\nEOF")).toBe("RUN <<EOF echo EOF");
  });

  test("are kept up to a number and a size, the latest in any case", () => {
    const tail = createLogTail({ lines: 3, characters: 10 });
    for (let i = 0; i < 20; i++) tail.push([`${i}`]);
    expect([tail.last(9), tail.last(1)]).toEqual([["17", "18", "19"], ["19"]]);
    tail.push(["123456789"]);
    expect(tail.last(9)).toEqual(["123456789"]);
    tail.push(["x".repeat(99)]);
    expect(tail.last(9)).toEqual(["x".repeat(99)]);
  });
});
