import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { conformance } from "../../test/support/conformance.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { trimPrefix, trimSuffix } from "./wordPattern.ts";
import { expandWord, expandWords, processWord } from "./words.ts";

const data = conformance("shell-words");

/** The last entry of a name wins; a name without `=` is empty. */
function envOf(env: string[] | Record<string, string>): Map<string, string> {
  if (!Array.isArray(env)) return new Map(Object.entries(env));
  return new Map(
    env.map((entry): [string, string] => {
      const equals = entry.indexOf("=");
      return equals < 0 ? [entry, ""] : [entry.slice(0, equals), entry.slice(equals + 1)];
    }),
  );
}

describe.skipIf(data === undefined)("words expand as BuildKit's tables say", () => {
  test.each<{ id: string; input: string; expected?: string }>(data?.words ?? [])("$id $input", (row) => {
    const env = envOf(data.wordsEnv);
    if (row.expected === undefined) expect(() => expandWord(row.input, env)).toThrow(SlipwayError);
    else expect(expandWord(row.input, env)).toBe(row.expected);
  });

  test.each<{ id: string; input: string; env: string[]; expected?: string[] }>(data?.split ?? [])(
    "$id $input",
    (row) => {
      if (row.expected === undefined) expect(() => expandWords(row.input, envOf(row.env))).toThrow(SlipwayError);
      else expect(expandWords(row.input, envOf(row.env))).toEqual(row.expected);
    },
  );

  test.each<{ id: string; input: string; env: string[]; expected?: string; errorContains: string }>(
    data?.mandatory ?? [],
  )("$id $input", (row) => {
    if (row.expected === undefined) expect(() => expandWord(row.input, envOf(row.env))).toThrow(row.errorContains);
    else expect(expandWord(row.input, envOf(row.env))).toBe(row.expected);
  });

  test.each<{ id: string; input: string; env: Record<string, string>; expected: string }>(data?.template ?? [])(
    "$id $input",
    (row) => expect(expandWord(row.input, envOf(row.env))).toBe(row.expected),
  );

  test.each<{
    id: string;
    input: string;
    env: Record<string, string>;
    expected?: string;
    matched: string[];
    unmatched: string[];
  }>(data?.matches ?? [])("$id $input", (row) => {
    if (row.expected === undefined) {
      expect(() => processWord(row.input, envOf(row.env))).toThrow(SlipwayError);
      return;
    }
    const { text, matched, unmatched } = processWord(row.input, envOf(row.env));
    expect({ text, matched: [...matched].sort(), unmatched: [...unmatched].sort() }).toEqual({
      text: row.expected,
      matched: row.matched,
      unmatched: row.unmatched,
    });
  });
});

describe.skipIf(data === undefined)("BuildKit's tables of its own steps hold for what comes out", () => {
  const reversed = (text: string) => [...text].reverse().join("");
  const outcome = (work: () => string) => {
    try {
      return work();
    } catch (error) {
      expect(error).toBeInstanceOf(SlipwayError);
      return undefined;
    }
  };

  test.each<{ id: string; env: string[]; name: string; expected: string }>(data?.getEnv ?? [])("$id", (row) => {
    expect(expandWord(`\${${row.name}}`, envOf(row.env))).toBe(row.expected);
  });

  test.each<{ id: string; input: string; expected?: string }>(data?.patternToRegex ?? [])("$id $input", (row) => {
    const values = ["", "a", "((", row.input, `${row.input.replace(/\\(.)/gs, "$1")}rest`];
    for (const value of values) {
      const trimmed = outcome(() => trimPrefix(value, row.input, true));
      expect(trimmed).toBe(row.expected === undefined ? undefined : value.replace(new RegExp(row.expected, "s"), ""));
    }
  });

  // The end of a value is trimmed by the reversed pattern.
  test.each<{ id: string; input: string; expected: string }>(data?.reversePattern ?? [])("$id $input", (row) => {
    for (const value of ["", "ab", "👽🚀🖖", "x\\b", "\\ab", row.input]) {
      const trimmed = outcome(() => trimSuffix(value, row.input, false));
      const mirrored = outcome(() => reversed(trimPrefix(reversed(value), row.expected, false)));
      expect([value, trimmed]).toEqual([value, mirrored]);
    }
  });

  test.each<{ id: string; input: string; expected: string }>(data?.reverseString ?? [])("$id $input", (row) => {
    let backwards = "";
    for (let rest = row.input; rest !== ""; ) {
      const shorter = trimSuffix(rest, "?", false);
      backwards += rest.slice(shorter.length);
      rest = shorter;
    }
    expect(backwards).toBe(row.expected);
  });
});

test("the backtick escapes where the directive says so, and the backslash is then a character", () => {
  const env = new Map([["v", "x"]]);
  expect(expandWord("C:\\dir`$v$v", env, { escape: "`" })).toBe("C:\\dir$vx");
});

test("quotes can be kept, and unset variables stay as written where that is asked for", () => {
  expect(expandWord(`'a' "$b" \${c:-d}`, new Map(), { rawQuotes: true, skipUnset: true })).toBe(`'a' "$b" \${c:-d}`);
});

test("quotes are plain characters in a heredoc body", () => {
  expect(expandWord(`it's "$v"`, new Map([["v", "x"]]), { skipQuotes: true })).toBe(`it's "x"`);
});

test.each([
  ["${v#*/}", "b/c"],
  ["${v##*/}", "c"],
  ["${v%/*}", "a/b"],
  ["${v%%/*}", "a"],
  ["${v/?/X}", "X/b/c"],
  ["${v//?/X}", "XXXXX"],
  ["${v//\\//-}", "a-b-c"],
  ["${v/b*/X}", "a/X"],
])("%s of a/b/c is %s", (word, expected) => {
  expect(expandWord(word, new Map([["v", "a/b/c"]]))).toBe(expected);
});

test("a question mark takes one character, whatever its length", () => {
  expect(expandWord("${v#?}", new Map([["v", "👽b"]]))).toBe("b");
});

test("the error names the word and the reason", () => {
  expect(() => expandWord('"a', new Map())).toThrow(
    'failed to process "\\"a": unexpected end of statement while looking for matching double-quote',
  );
});

const fragment = fc.constantFrom(
  "$",
  "{",
  "}",
  ":",
  "-",
  "+",
  "?",
  "#",
  "%",
  "/",
  "'",
  '"',
  "\\",
  " ",
  "a",
  "v",
  "é",
  "*",
  "`",
);
const soup = fc.array(fragment, { maxLength: 60 }).map((parts) => parts.join(""));

test("any word is expanded or refused with a SlipwayError", () => {
  const env = new Map([
    ["v", "value with blanks"],
    ["a", ""],
  ]);
  fc.assert(
    fc.property(soup, fc.boolean(), fc.boolean(), fc.boolean(), (word, rawQuotes, skipUnset, skipQuotes) => {
      try {
        const result = processWord(word, env, { rawQuotes, skipUnset, skipQuotes });
        expect(result.words.every((each) => each !== "")).toBe(true);
        expect(result.text).toBe(expandWord(word, env, { rawQuotes, skipUnset, skipQuotes }));
      } catch (error) {
        expect(error).toBeInstanceOf(SlipwayError);
      }
    }),
  );
});

test("a word without special characters is itself", () => {
  fc.assert(
    fc.property(fc.string(), (word) => {
      fc.pre(!/[$'"\\]/.test(word));
      expect(expandWord(word, new Map())).toBe(word);
    }),
  );
});

test("what is quoted with single quotes comes out as it is", () => {
  fc.assert(
    fc.property(fc.string(), (value) => {
      fc.pre(!value.includes("'"));
      expect(expandWord(`'${value}'`, new Map())).toBe(value);
    }),
  );
});

test("braces nested without end are refused", () => {
  expect(() => expandWord("${a:-".repeat(100_000), new Map())).toThrow(SlipwayError);
});
