import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { conformance } from "../../../test/support/conformance.ts";
import { parsePlatform } from "../../oci/platform.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { parseIgnoreFile } from "../ignore.ts";
import type { CheckedImage, CheckInfo } from "./CheckInfo.ts";
import { checkDockerfile } from "./checkDockerfile.ts";
import { type Rule, rules } from "./rules.ts";
import { sortViolations, violationText } from "./violations.ts";

const data = conformance("checks");
const buildPlatform = parsePlatform("linux/amd64");
const path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

interface Expected {
  rule: string;
  description: string;
  detail: string;
  url: string;
  line?: number;
  level?: number;
}

interface Row {
  id: string;
  test: string;
  dockerfile: string;
  dockerignore?: string;
  buildArgs?: Record<string, string>;
  platform?: string;
  setup?: { platform: string };
  expected: Expected[];
  expectedAllStages?: Expected[];
  buildErr?: string;
}

/** busybox and alpine for any platform; the image of a row's set-up for the one that it was built for. */
function imageOf(row: Row): NonNullable<CheckInfo["image"]> {
  return (reference, platform): CheckedImage | undefined =>
    reference === "{{BASE}}" && row.setup !== undefined
      ? { platform: parsePlatform(row.setup.platform), env: [path] }
      : { platform, env: [path] };
}

function check(row: Row, allStages: boolean) {
  const dockerfile = row.dockerfile.replaceAll("{{BASE}}", "registry.test/base");
  const platforms =
    row.platform !== undefined ? [row.platform] : row.buildArgs === undefined ? ["linux/amd64", "linux/arm64"] : [];
  const image = imageOf(row);
  const reports = (platforms.length === 0 ? ["linux/amd64"] : platforms).map((platform) =>
    checkDockerfile(dockerfile, {
      buildPlatform,
      targetPlatform: parsePlatform(platform),
      buildArgs: new Map(Object.entries(row.buildArgs ?? {})),
      allStages,
      ignorePatterns: parseIgnoreFile(row.dockerignore ?? ""),
      image: (reference, wanted) => image(reference.replace("registry.test/base", "{{BASE}}"), wanted),
    }),
  );
  return { violations: sortViolations(reports.flatMap(({ violations }) => violations)), error: reports[0]?.error };
}

describe.skipIf(data === undefined)("checks find what BuildKit's find", () => {
  test.each<Row>(data?.cases ?? [])("$id $test", (row) => {
    for (const allStages of [false, true]) {
      const { violations, error } = check(row, allStages);
      const expected = (allStages && row.expectedAllStages) || row.expected;
      const found = violations.map(({ rule, description, detail, url, range }) => ({
        rule,
        description,
        detail: detail.replaceAll("registry.test/base", "{{BASE}}"),
        url,
        line: range.start,
      }));
      expect(found).toHaveLength(expected.length);
      for (const [i, { rule, description, detail, url, line, level }] of expected.entries()) {
        expect(found[i]).toMatchObject({ rule, description, detail, url, ...(line === undefined ? {} : { line }) });
        // BuildKit knows no level but the warning, so a violation does not carry one.
        expect(level ?? 1).toBe(1);
      }
      expect(error?.message).toBe(row.buildErr as string);
    }
  });

  test("the catalogue of rules is BuildKit's", () => {
    const catalogue = Object.entries(rules).map(([rule, each]: [string, Rule]) => ({
      rule,
      description: each.description,
      url: each.url,
      detail: each.detail,
      ...(each.suggestion === undefined ? {} : { suggestion: each.suggestion }),
      experimental: each.experimental ?? false,
    }));
    expect(catalogue).toEqual(data.rules.map(({ id: _, ...rule }: { id: string }) => rule));
  });
});

function detailsOf(text: string, info: Partial<CheckInfo> = {}): string[] {
  const image = (_: string, platform: CheckedImage["platform"]) => ({ platform, env: [path] });
  return checkDockerfile(text, { buildPlatform, image, ...info }).violations.map(violationText);
}

test("descriptions are looked at when that rule is asked for, whatever is skipped", () => {
  const head = "# check=skip=all;experimental=InvalidDefinitionDescription\n\n";
  expect(detailsOf(`${head}# bad\nARG foo\n# base is fine\nFROM scratch AS base\n# bad\nARG a b\n`)).toEqual([
    "InvalidDefinitionDescription: Comment for ARG should follow the format: `# foo <description>` (line 4)",
    "InvalidDefinitionDescription: Comment for ARG should follow the format: `# <arg_key> <description>` (line 8)",
  ]);
});

test("an empty continuation line is reported at the instruction's end", () => {
  expect(detailsOf("FROM scratch\nCOPY a \\\n\n  b\n")).toEqual([
    "NoEmptyContinuation: Empty continuation line (line 4)",
  ]);
});

test("variables are looked for in every word that is expanded", () => {
  const found = detailsOf(
    "FROM alpine\nARG A\nRUN --mount=type=cache,target=$B x $Z\nCOPY --chown=$C <<E $D\n$F $A\nE\nUSER $G\nWORKDIR /$H\n",
  );
  expect(found.map((text) => /\$(\w)/.exec(text)?.[1])).toEqual(["B", "C", "D", "F", "G", "H"]);
});

test("nothing is said about variables below an image that is not known", () => {
  expect(detailsOf("FROM alpine AS a\nFROM a\nENV X=$Y\n", { image: () => undefined })).toEqual([]);
});

test("the ONBUILD instructions of a base count at the FROM", () => {
  const image = () => ({ platform: buildPlatform, env: [path], onBuild: ["ENV X=$Y"] });
  expect(detailsOf("\nFROM base\n", { image })).toEqual(["UndefinedVar: Usage of undefined variable '$Y' (line 2)"]);
});

test("a stage that a named context replaces is not looked into", () => {
  const text = "FROM scratch AS a\nENV X=$Y\nFROM a\n";
  expect(detailsOf(text, { hasNamedContext: (name) => name === "a" })).toEqual([]);
});

test("what a build would stop at is in the report, with its lines", () => {
  const { error } = checkDockerfile("FROM scratch\n\nWORKDIR /${x:?not given}\n", { buildPlatform });
  expect(error?.message).toContain("x: not given");
  expect(error?.range?.start).toBe(3);
  expect(checkDockerfile("# check=skipp=all\nFROM scratch", { buildPlatform }).error?.code).toBe(
    "INVALID_CHECK_OPTION",
  );
});

const line = fc.constantFrom(
  ...'FROM scratch|FROM a AS b|FROM --platform=$X b|ARG X=$Y|ENV a $b|ENV PASSWORD=1|RUN --mount=type=$T x|COPY --from=b a .|COPY . .|CMD x|EXPOSE 1:2/TCP|# check=skip=all|# x|WORKDIR x|ONBUILD RUN y|LABEL a=${|SHELL ["x"]|HEALTHCHECK CMD x|VOLUME $|from x as Y'.split(
    "|",
  ),
);

test("any Dockerfile gets a report", () => {
  fc.assert(
    fc.property(fc.array(line, { maxLength: 12 }), fc.boolean(), (lines, allStages) => {
      const { violations, error } = checkDockerfile(lines.join("\n"), { buildPlatform, allStages });
      for (const { range } of violations) expect(range.start).toBeGreaterThan(0);
      if (error !== undefined) expect(error).toBeInstanceOf(SlipwayError);
    }),
    { numRuns: 500 },
  );
});
