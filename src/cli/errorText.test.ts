import { expect, test } from "bun:test";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { errorText, excerpt } from "./errorText.ts";

const quiet = { debug: false };
const text = "FROM a\nRUN b\nRUN c\nRUN d\r\nRUN e\nRUN f\n";

test("an error shows its place with the lines around it, what it is and what to do", () => {
  const error = new SlipwayError("X", "no such thing", {
    range: { file: "Dockerfile", start: 3, end: 4, text },
    hint: "Do this.",
  });
  expect(errorText(error, quiet)).toBe(
    [
      "Dockerfile:3",
      "--------------------",
      "   1 |     FROM a",
      "   2 |     RUN b",
      "   3 | >>> RUN c",
      "   4 | >>> RUN d",
      "   5 |     RUN e",
      "   6 |     RUN f",
      "--------------------",
      "slipway: no such thing",
      "Do this.",
      "",
    ].join("\n"),
  );
});

test("an excerpt ends with the file, and without its text it is the place alone", () => {
  const lines = (start: number, end: number) =>
    excerpt({ file: "D", start, end, text })
      .split("\n")
      .slice(2, -1)
      .map((line) => line.trim());
  expect(lines(1, 1)).toEqual(["1 | >>> FROM a", "2 |     RUN b", "3 |     RUN c"]);
  expect(lines(6, 6)).toEqual(["4 |     RUN d", "5 |     RUN e", "6 | >>> RUN f"]);
  expect(lines(99, 99)).toEqual([]);
  expect(excerpt({ file: "D", start: 7, end: 7 })).toBe("D:7");
});

test("a fault of our own is told from an error of the person's, and --debug shows where both come from", () => {
  const fault = new TypeError("x is undefined");
  expect(errorText(fault, quiet)).toBe(
    "slipway: x is undefined\nThis is a fault of slipway or of the system; --debug shows more.\n",
  );
  expect(errorText("thrown text", quiet)).toBe("slipway: thrown text\n");
  const error = new SlipwayError("X", "outer", { cause: new Error("inner", { cause: fault }) });
  expect(errorText(error, quiet)).toBe("slipway: outer\n");
  const debug = errorText(error, { debug: true });
  for (const part of ["errorText.test.ts", "caused by: Error: inner", "caused by: TypeError: x is undefined"])
    expect(debug).toContain(part);
});

test("what a registry or a Dockerfile says cannot command the terminal", () => {
  const error = new SlipwayError("X", "denied:\x1b[2J\x1b]0;title\x07 \x9b31m no\rSlipway: fine", {
    hint: "first\nsecond\x1b[31m red",
    range: { file: "D", start: 1, end: 1, text: "RUN \x1b[1A\ttab" },
  });
  const shown = errorText(error, quiet);
  expect(shown).not.toMatch(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/);
  expect(shown).toContain("1 | >>> RUN \ttab");
  expect(shown).toContain("first\nsecond red");
});
