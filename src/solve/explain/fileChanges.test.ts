import { expect, test } from "bun:test";
import { fileDifferences } from "./fileChanges.ts";

test("a time in a file's text, which an epoch adds, is told apart from what the file holds, in links too", () => {
  const link = (time: number) => `120777 0:0 "a @7" @${time}`;
  expect(fileDifferences(link(5), link(5))).toEqual([]);
  expect(fileDifferences(link(5), link(65))).toEqual([
    { what: "time", old: "1970-01-01T00:00:05.000Z", new: "1970-01-01T00:01:05.000Z" },
  ]);
  const file = `100644 0:0 ${"0".repeat(64)}`;
  expect(fileDifferences(`${file} @5`, `${file.replace("644", "600")} @5`)).toEqual([
    { what: "mode", old: "644", new: "600" },
  ]);
});
