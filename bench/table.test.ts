import { expect, test } from "bun:test";
import { median } from "./measure.ts";
import { table } from "./table.ts";

test("the median of an even number of runs lies between the two in the middle", () => {
  expect(median([1, 2, 10])).toBe(2);
  expect(median([1, 2, 4, 10])).toBe(3);
});

test("a tool that a scenario does not have leaves its cell empty, and ratios are slipway's to the tool", () => {
  const text = table([
    {
      scenario: "a",
      measured: [
        { name: "slipway", seconds: [0.1], peak: 0 },
        { name: "docker", seconds: [0.4], peak: 0 },
      ],
    },
    { scenario: "b", measured: [{ name: "slipway", seconds: [0.2], peak: 0 }] },
  ]);
  expect(text.split("\n")).toEqual([
    "| scenario | slipway | docker |",
    "|---|---:|---:|",
    "| a | 0.100 | 0.400 (× 0.25) |",
    "| b | 0.200 | – |",
  ]);
});
