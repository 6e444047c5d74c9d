import { describe, expect, test } from "bun:test";
import { conformance } from "../../test/support/conformance.ts";
import { formatPlatform, matchesPlatform, parsePlatform, pickPlatform } from "./platform.ts";

const data = conformance("platform");
/** OS versions and features in a platform's text belong to Windows images, which slipway does not run. */
const plain = (text: string) => !text.includes("(");

describe.skipIf(data === undefined)("containerd's tables (skipped where ../shared/conformance is absent)", () => {
  test("a wish takes what its processors run, and nothing else", () => {
    for (const row of data.match) {
      if (row.mode !== "only" || !plain(row.platform)) continue;
      const accepts = (text: string) => matchesPlatform(parsePlatform(row.platform), parsePlatform(text));
      for (const text of row.matches.filter(plain)) expect([row.id, text, accepts(text)]).toEqual([row.id, text, true]);
      for (const text of row.doesNotMatch.filter(plain)) {
        expect([row.id, text, accepts(text)]).toEqual([row.id, text, false]);
      }
    }
  });
});

test("the exact platform wins over an older one that would run", () => {
  const entries = ["linux/386", "linux/arm/v6", "linux/arm/v7", "linux/amd64"].map((text) => ({
    platform: parsePlatform(text),
  }));
  const pick = (text: string) =>
    formatPlatform(pickPlatform(parsePlatform(text), entries)?.platform ?? parsePlatform("none/none"));
  expect(pick("linux/amd64/v3")).toBe("linux/amd64");
  expect(pick("linux/arm64")).toBe("linux/arm/v7");
  expect(pick("linux/s390x")).toBe("none/none");
});

test("other spellings of an architecture are one platform", () => {
  expect(parsePlatform("linux/x86_64")).toEqual({ os: "linux", architecture: "amd64" });
  expect(parsePlatform("Linux/aarch64/v8")).toEqual({ os: "linux", architecture: "arm64" });
  expect(() => parsePlatform("linux/amd64/v1/x")).toThrow("is not a platform");
});
