import { expect, test } from "bun:test";
import { parseUlimits, UNLIMITED } from "./rlimits.ts";

test("a limit has a soft and a hard value, the same where one is said, none as -1, and the last of a name counts", () => {
  expect(parseUlimits(["nofile=1", "core=0", "nofile=1024:2048", "memlock=-1"])).toEqual([
    { type: "RLIMIT_NOFILE", soft: 1024, hard: 2048 },
    { type: "RLIMIT_CORE", soft: 0, hard: 0 },
    { type: "RLIMIT_MEMLOCK", soft: UNLIMITED, hard: UNLIMITED },
  ]);
});

test("an unknown name, no number, and a soft limit above the hard one are refused", () => {
  for (const entry of ["nofiles=1", "nofile", "nofile=x", "nofile=2:1", "nofile=-1:5", "nofile=1:2:3"])
    expect(() => parseUlimits([entry]), entry).toThrow(entry);
});
