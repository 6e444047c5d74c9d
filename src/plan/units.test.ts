import { expect, test } from "bun:test";
import { readFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import { cacheTtlOf } from "./duration.ts";
import { formatDuration, plainList, quoteList } from "./goFormat.ts";
import { hasWildcard, resolveKeepingSlash, resolveWorkdir, treePath } from "./paths.ts";
import { parsePorts } from "./ports.ts";
import { isSignal } from "./signalNames.ts";

const expose = join(import.meta.dir, "../../../shared/conformance/expose.json");

test.skipIf(!existsSync(expose))(
  "EXPOSE reads every port form of the conformance data (skipped where the data is not there)",
  () => {
    const { ports } = JSON.parse(readFileSync(expose, "utf8"));
    for (const row of ports) {
      const parse = () => parsePorts(row.ports);
      if (row.errorEquals !== undefined) expect(parse).toThrow(row.errorEquals);
      else if (row.error) expect(parse).toThrow();
      else expect(parse(), row.id).toEqual(row.expected);
    }
  },
);

test("lists and durations are written as Go writes them", () => {
  expect(quoteList(["echo", 'a "b"\n\u00e9\x01'])).toBe('["echo" "a \\"b\\"\\né\\x01"]');
  expect(plainList(["a", "b"])).toBe("[a b]");
  expect([0, 1e9, 1.5e9, 90e9, 100e6, 3600e9, 1500].map(formatDuration)).toEqual([
    "0s",
    "1s",
    "1.5s",
    "1m30s",
    "100ms",
    "1h0m0s",
    "1.5µs",
  ]);
});

test("a destination keeps the slash that makes it a directory", () => {
  expect(resolveKeepingSlash("/app", "x/")).toBe("/app/x/");
  expect(resolveKeepingSlash("/app", ".")).toBe("/app/");
  expect(resolveKeepingSlash("/app", "/")).toBe("/");
  expect(resolveWorkdir("/app", "../x")).toBe("/x");
});

test("a source cannot leave its tree", () => {
  expect(treePath("../../etc/passwd")).toBe("etc/passwd");
  expect(treePath(".")).toBe("");
  expect([hasWildcard("a*"), hasWildcard("a\\*"), hasWildcard("[a]")]).toEqual([true, false, true]);
});

test("a cache comment gives seconds, and other comments give nothing", () => {
  expect(cacheTtlOf([" cache: ttl=1d12h"])).toBe(129600);
  expect(cacheTtlOf(["about the cache"])).toBeUndefined();
});

test("signals have names with or without SIG, and numbers", () => {
  expect(["SIGTERM", "kill", "9", "SIGRTMIN+3", "0", "NOPE"].map(isSignal)).toEqual([
    true,
    true,
    true,
    true,
    false,
    false,
  ]);
});
