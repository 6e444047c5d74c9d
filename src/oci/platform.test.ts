import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { conformance } from "../../test/support/conformance.ts";
import {
  exportPlatform,
  formatFullPlatform,
  formatPlatform,
  normalizePlatform,
  type Platform,
  parsePlatform,
} from "./platform.ts";
import { matchesPlatform, orderPlatforms, type PlatformMode, pickPlatform } from "./platformMatch.ts";
import { SlipwayError } from "./SlipwayError.ts";

const data = conformance("platform");

interface Written {
  os: string;
  architecture: string;
  variant?: string;
  osVersion?: string;
  osFeatures?: string[];
}

/** The tables' names of the fields; `amd64` where they mean the host. */
function platformOf({ osVersion, osFeatures, ...rest }: Written): Platform {
  return {
    ...rest,
    ...(osVersion === undefined ? {} : { "os.version": osVersion }),
    ...(osFeatures === undefined ? {} : { "os.features": osFeatures }),
  };
}

/** The tables are written for an amd64 host. */
const onHost = (text: string) => text.replace("amd64", process.arch === "x64" ? "amd64" : process.arch);
const modes: Record<string, PlatformMode> = {
  only: "compatible",
  onlyStrict: "strict",
  onlyOS: "os",
  // Lists of one platform, taken as it is.
  ordered: "strict",
  any: "strict",
};

describe.skipIf(data === undefined)("containerd's tables (skipped where ../shared/conformance is absent)", () => {
  test("a specifier is read, written back and matched", () => {
    for (const row of data.parse) {
      if (row.error) {
        expect(() => parsePlatform(row.input), row.id).toThrow(SlipwayError);
        continue;
      }
      const platform = parsePlatform(row.input);
      const wanted = platformOf(row.expected);
      if (!row.input.includes("/") && wanted.architecture === "amd64" && !row.input.includes("86"))
        wanted.architecture = onHost("amd64");
      expect([row.id, platform]).toEqual([row.id, wanted]);
      const format = row.withOSOptions ? formatFullPlatform : formatPlatform;
      const formatted = row.formatted.replace("amd64", wanted.architecture);
      expect([row.id, format(platform)]).toEqual([row.id, formatted]);
      expect([row.id, format(parsePlatform(formatted))]).toEqual([row.id, formatted]);
      for (const each of [platform, ...row.alsoMatches.map(platformOf)])
        expect([row.id, each, matchesPlatform(platform, each, "strict")]).toEqual([row.id, each, true]);
    }
  });

  test("version and features of the system are written so that they can be read", () => {
    for (const row of data.formatAll) {
      const platform = platformOf(row.platform);
      expect([row.id, formatFullPlatform(platform)]).toEqual([row.id, row.expected]);
      if (row.roundTrip) expect([row.id, parsePlatform(row.expected)]).toEqual([row.id, platform]);
    }
  });

  test("a wish takes what its processors run, and nothing else", () => {
    for (const row of data.match) {
      const accepts = (text: string) =>
        matchesPlatform(parsePlatform(row.platform), parsePlatform(text), modes[row.mode]);
      for (const text of row.matches) expect([row.id, text, accepts(text)]).toEqual([row.id, text, true]);
      for (const text of row.doesNotMatch) expect([row.id, text, accepts(text)]).toEqual([row.id, text, false]);
    }
  });

  test("what fits better comes first", () => {
    for (const row of data.order)
      for (const mode of row.modes) {
        const inputs: string[] = row.input;
        const entries = inputs.map((text) => ({ text, platform: parsePlatform(text) }));
        const ordered = orderPlatforms(parsePlatform(row.platform), entries, modes[mode] as PlatformMode);
        expect([row.id, mode, ordered.map((each) => each.text)]).toEqual([row.id, mode, row.expected]);
      }
  });

  test("an index names the platform that was asked for, and a Windows base completes it", () => {
    for (const row of data.exportPlatform) {
      const { id, platform } = exportPlatform(platformOf(row.requested), platformOf(row.image));
      expect([row.id, id, platform]).toEqual([row.id, row.expectedId, platformOf(row.expected)]);
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

test("an image for a newer Windows, or one that needs features, is not taken", () => {
  const takes = (wanted: string, have: string) => matchesPlatform(parsePlatform(wanted), parsePlatform(have));
  expect(takes("windows(10.0.17763.1)/amd64", "windows(10.0.17763.999)/amd64")).toBe(true);
  expect(takes("windows(10.0.17763)/amd64", "windows(10.0.20348)/amd64")).toBe(false);
  expect(takes("windows(10.0.26100)/amd64", "windows(10.0.20348)/amd64")).toBe(true);
  expect(takes("windows(10.0.26100)/amd64", "windows(10.0.17763)/amd64")).toBe(false);
  expect(takes("linux/amd64", "linux(+gpu)/amd64")).toBe(false);
});

test("other spellings of an architecture are one platform", () => {
  expect(normalizePlatform(parsePlatform("Linux/aarch64/v8"))).toEqual({ os: "linux", architecture: "arm64" });
  expect(normalizePlatform(parsePlatform("linux/arm"))).toEqual({ os: "linux", architecture: "arm", variant: "v7" });
});

test.each([
  ["linux/amd64/v1/x", '"linux/amd64/v1/x": cannot parse platform specifier: invalid argument'],
  ["linux/", '"" is an invalid component of "linux/": platform specifier component must match'],
  ["l!/x", '"l!" is an invalid OS component of "l!/x": OSAndVersion specifier component must match'],
  ["vax", '"vax": unknown operating system or architecture: invalid argument'],
  ["windows(%zz)", '"windows(%zz)" has an invalid OS version or feature "%zz"'],
])("%s is refused in containerd's words", (text, message) => {
  expect(() => parsePlatform(text)).toThrow(message);
});

const piece = fc.constantFrom(..."linux|windows|/|(|)|+|%2B|%|10.0.1|arm|arm64|v8|9|é| ".split("|"));

test("any text is a platform that is written back and read the same, or refused with a SlipwayError", () => {
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 9 }), (pieces) => {
      try {
        const platform = normalizePlatform(parsePlatform(pieces.join("")));
        expect(normalizePlatform(parsePlatform(formatFullPlatform(platform)))).toEqual(platform);
        expect(matchesPlatform(platform, platform)).toBe(true);
      } catch (error) {
        expect(error).toBeInstanceOf(SlipwayError);
      }
    }),
    { numRuns: 2000 },
  );
});
