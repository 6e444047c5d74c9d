import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { conformance } from "../../test/support/conformance.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { filepathMatch } from "./filepathMatch.ts";
import { globMatches } from "./globMatches.ts";
import { globTokens } from "./globTokens.ts";
import { createIgnoreMatcher, type IgnoreMatcher, parseIgnoreFile } from "./ignore.ts";
import { compileIgnorePattern } from "./ignorePattern.ts";

const data = conformance("dockerignore");

/** The verdict by walking down from the root, as a caller with a tree does; a directory that can be left out ends the walk. */
function walkedTo(matcher: IgnoreMatcher, path: string, prune = true): boolean {
  const names = path.split("/").filter((name) => name !== "");
  let state = matcher.root();
  let keep = true;
  for (let depth = 1; depth <= names.length; depth++) {
    const verdict = matcher.visit(state, names.slice(0, depth).join("/"));
    if (prune && !verdict.descend) return true;
    ({ state, keep } = verdict);
  }
  return !keep;
}

describe.skipIf(data === undefined)("patterns match as moby/patternmatcher's tables say", () => {
  type Row = { id: string; patterns: string[]; path: string; expected: boolean; error?: boolean };
  test.each<Row>(data?.matches ?? [])("$id $patterns of $path", (row) => {
    const matcher = createIgnoreMatcher(row.patterns);
    expect(matcher.matches(row.path)).toBe(row.expected);
    if (row.path === "/") return;
    expect(walkedTo(matcher, row.path)).toBe(row.expected);
    expect(walkedTo(matcher, row.path, false)).toBe(row.expected);
  });

  test.each<Row>(data?.simple ?? [])("$id $patterns of $path", (row) => {
    if (row.error) expect(() => createIgnoreMatcher(row.patterns)).toThrow(SlipwayError);
    else expect(createIgnoreMatcher(row.patterns).matches(row.path)).toBe(row.expected);
  });

  test.each<{ id: string; pattern: string; path: string; expected?: boolean; error?: string }>(
    data?.filepathMatch ?? [],
  )("$id $pattern of $path", (row) => {
    const work = () => createIgnoreMatcher([row.pattern]).matches(row.path);
    if (row.error !== undefined) expect(work).toThrow(row.error);
    else expect(work()).toBe(row.expected as boolean);
  });

  // What upstream compiles to is its own matter; that the same paths match is not.
  test.each<{ id: string; pattern: string; matchType: string; regexp?: string }>(data?.compile ?? [])(
    "$id $pattern",
    (row) => {
      const compiled = compileIgnorePattern(row.pattern);
      expect(compiled.kind).toBe((row.matchType === "regexp" ? "glob" : row.matchType) as "glob");
      if (row.regexp === undefined) return;
      const regexp = new RegExp(row.regexp, "s");
      const names = [
        "",
        "a",
        "file",
        "a.file",
        "fileb",
        "xfilextxt",
        "dir",
        "dir2",
        "b",
        ".x",
        "x.txt",
        "abc?def",
        "abcxdef",
      ];
      for (const first of names)
        for (const path of [first, ...names.map((second) => `${first}/${second}`), `x/${first}/y/${first}`])
          expect([path, compiled.matches(path)]).toEqual([path, regexp.test(path)]);
    },
  );

  test.each<{ id: string; patterns: string[]; count?: number; exclusions?: boolean; error?: boolean }>(
    data?.clean ?? [],
  )("$id $patterns", (row) => {
    if (row.error) {
      expect(() => createIgnoreMatcher(row.patterns)).toThrow(SlipwayError);
      return;
    }
    const matcher = createIgnoreMatcher(row.patterns);
    if (row.count !== undefined) expect(matcher.count).toBe(row.count);
    if (row.exclusions !== undefined) expect(matcher.exceptions).toBe(row.exclusions);
  });

  test.each<{ id: string; patterns: string[]; path: string; error: string; calls: number }>(data?.lateError ?? [])(
    "$id",
    (row) => {
      const matcher = createIgnoreMatcher(row.patterns);
      for (let call = 0; call < row.calls; call++) expect(() => matcher.matches(row.path)).toThrow(row.error);
    },
  );

  test.each<{ id: string; content: string | null; expected: string[] }>(data?.ignoreFile ?? [])("$id", (row) =>
    expect(parseIgnoreFile(row.content ?? "")).toEqual(row.expected),
  );
});

test("an ignored directory can be left out when no exception can lie below it", () => {
  const descend = (patterns: string[], path: string) => {
    const matcher = createIgnoreMatcher(patterns);
    return matcher.visit(matcher.root(), path).descend;
  };
  expect(descend(["node_modules"], "node_modules")).toBe(false);
  expect(descend(["node_modules", "!src/keep"], "node_modules")).toBe(false);
  expect(descend(["*", "!src/keep"], "src")).toBe(true);
  expect(descend(["*", "!src/keep"], "lib")).toBe(false);
  expect(descend(["*", "!s*/keep/x"], "src")).toBe(true);
  expect(descend(["*", "!**/keep"], "lib")).toBe(true);
  expect(descend(["!lib/x", "lib"], "lib")).toBe(false);
  expect(descend([], "lib")).toBe(true);
});

test("the pattern that decided is named by its place in the list", () => {
  const matcher = createIgnoreMatcher(["*", "", "!src", "src/b"]);
  const src = matcher.visit(matcher.root(), "src");
  expect([matcher.visit(matcher.root(), "a").by, src.by, matcher.visit(src.state, "src/b").by]).toEqual([0, 2, 3]);
  expect(createIgnoreMatcher([]).visit(new Uint8Array(0), "a").by).toBe(-1);
});

test("a byte-order mark and CR LF in an ignore file are no part of a pattern", () => {
  expect(parseIgnoreFile("\ufeffa\r\n #b\r\n./c/../d/\r\n")).toEqual(["a", "#b", "d"]);
});

test.each([
  ["*.txt", "a.txt", true],
  ["*.txt", "a/b.txt", false],
  ["a?c", "a👽c", true],
  ["[a-c]*", "bx", true],
  ["**", "a/b", false],
  ["a\\*", "a*", true],
  ["[z-a]", "b", false],
])("filepath.Match(%s, %s) is %p", (pattern, name, expected) => {
  expect(filepathMatch(pattern, name)).toBe(expected);
});

const part = fc.constantFrom("a", "b", "ab", "*", "?", "**", "a*", "*b", "a**", "[a-b]", "[^a]x", "\\*");
const patternLine = fc
  .tuple(fc.boolean(), fc.array(part, { minLength: 1, maxLength: 4 }))
  .map(([exception, parts]) => `${exception ? "!" : ""}${parts.join("/")}`);
const pathText = fc
  .array(fc.constantFrom("a", "b", "ab", "x", "aab", "*"), { minLength: 1, maxLength: 5 })
  .map((parts) => parts.join("/"));

test("leaving out directories changes no verdict", () => {
  fc.assert(
    fc.property(fc.array(patternLine, { maxLength: 6 }), pathText, (patterns, path) => {
      const matcher = createIgnoreMatcher(patterns);
      expect(walkedTo(matcher, path)).toBe(walkedTo(matcher, path, false));
    }),
    { numRuns: 2000 },
  );
});

test("without exceptions, walking down says what asking alone says", () => {
  fc.assert(
    fc.property(fc.array(patternLine, { maxLength: 6 }), pathText, (patterns, path) => {
      const matcher = createIgnoreMatcher(patterns.filter((pattern) => !pattern.startsWith("!")));
      expect(walkedTo(matcher, path)).toBe(matcher.matches(path));
    }),
  );
});

test("an exception that a directory matched before anything was ignored says nothing about what is below, as Docker has it", () => {
  const matcher = createIgnoreMatcher(["**/a", "!b"]);
  expect([walkedTo(matcher, "b/a"), matcher.matches("b/a")]).toEqual([true, false]);
});

test("patterns with many wildcards match by the same rules as those that become a regular expression, and do not hang", () => {
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 3 }), pathText, (parts, path) => {
      const pattern = parts.join("/");
      expect(globMatches(globTokens(pattern, true), path)).toBe(compileIgnorePattern(pattern).matches(path));
    }),
    { numRuns: 2000 },
  );
  expect(compileIgnorePattern(`${"*a".repeat(20)}*b`).matches("a".repeat(255))).toBe(false);
  expect(compileIgnorePattern(`${"**/a*".repeat(6)}b`).matches("a/".repeat(200))).toBe(false);
  for (const pattern of ["**/**/**/x", "**/a**/a**b"])
    expect(compileIgnorePattern(pattern).matches(`${"a/".repeat(2047)}c`)).toBe(false);
});

test("any list of patterns is taken or refused with a SlipwayError", () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: fc.constantFrom(..."![]^-\\*?/. a#") })), pathText, (patterns, path) => {
      try {
        createIgnoreMatcher(parseIgnoreFile(patterns.join("\n"))).matches(path);
      } catch (error) {
        expect(error).toBeInstanceOf(SlipwayError);
      }
    }),
  );
});
