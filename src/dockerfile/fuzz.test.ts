import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { conformance } from "../../test/support/conformance.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { checkDockerfile } from "./checks/checkDockerfile.ts";
import { parseChmod } from "./chmod.ts";
import { filepathMatch } from "./filepathMatch.ts";
import { parseGitRef } from "./gitRef.ts";
import { createIgnoreMatcher, parseIgnoreFile } from "./ignore.ts";
import { parseInstruction } from "./parseInstruction.ts";
import { parseMount } from "./parseMount.ts";
import { processWord } from "./words.ts";

/** What the outcome is when the work is refused as it may be: by our own error. Anything else fails the test. */
const refused = Symbol("refused");

function attempt<T>(work: () => T): T | typeof refused {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof SlipwayError)) throw error;
    return refused;
  }
}

const written = [
  "# syntax=docker/dockerfile:1\n# escape=`\nARG V=1\nFROM --platform=$BUILDPLATFORM alpine:${V:-2} AS a\nRUN x `\n  y\n",
  "FROM a\nRUN --mount=type=cache,target=/x,sharing=locked,id=$I <<-E\n\techo $a\n\tE\nCOPY --chown=1:2 --chmod=u=rwX <<A <<'B' /d/\na\nA\nb\nB\n",
  'FROM a\nENV a=b "c d"=\'e f\' g=\\"h\nLABEL x y z\nCMD ["a", "b"]\nSHELL ["s", "-c"]\nHEALTHCHECK --interval=1m30s --retries=3 CMD a || b\n',
  "FROM scratch\nADD --checksum=sha256:00 --keep-git-dir https://h/r.git?ref=a&subdir=b#c /x\nEXPOSE 1-3:80/tcp [::1]:5:6\nONBUILD COPY --from=0 a b\nWORKDIR /${a%%/*}\n",
];
const corpus: string[] = [
  ...written,
  ...(conformance("parser")?.corpus ?? []).map((row: { dockerfile: string }) => row.dockerfile),
  ...(conformance("instructions")?.mustNotCrash ?? []).map(
    (row: { dockerfile: string }) => `FROM a\n${row.dockerfile}`,
  ),
];

const bits = fc.constantFrom(
  ..."\\|`|\n|\r|\r\n|\t| |\"|'|$|${|}|${a:-|${a//|<<E|<<-'E'|\nE\n|#|# escape=`\n|--|--from=|--mount=|,|=|[|]|[\"|\0|\ufeff|é|👽|\ud800|:|/|..|*|?|%|AS|FROM |RUN |ONBUILD |__proto__|constructor|-1|99999999999999999999|0x|sha256:".split(
    "|",
  ),
);

/** A text of the corpus with pieces put in, cut out, doubled, or taken from another text. Places are fractions of the length. */
const mutated = fc
  .tuple(
    fc.constantFrom(...corpus),
    fc.array(
      fc.record({
        kind: fc.constantFrom("insert", "insert", "cut", "double", "splice"),
        at: fc.double({ min: 0, max: 1, noNaN: true }),
        length: fc.integer({ min: 1, max: 40 }),
        bit: bits,
        other: fc.constantFrom(...corpus),
      }),
      { maxLength: 8 },
    ),
  )
  .map(([start, changes]) => {
    let text = start;
    for (const { kind, at, length, bit, other } of changes) {
      const place = Math.floor(at * text.length);
      const [head, tail] = [text.slice(0, place), text.slice(place)];
      if (kind === "insert") text = head + bit + tail;
      else if (kind === "cut") text = head + tail.slice(length);
      else if (kind === "double") text = head + tail.slice(0, length) + tail;
      else text = head + other.slice(Math.floor(at * other.length));
    }
    return text;
  });

const buildPlatform = { os: "linux", architecture: "amd64" };

describe("whatever is written is read, or refused with our own error", () => {
  test("Dockerfiles, by the parser and by the checks", () => {
    fc.assert(
      fc.property(mutated, fc.boolean(), (text, known) => {
        const image = known
          ? (_: string, platform: typeof buildPlatform) => ({ platform, env: ["PATH=/bin", "x"], onBuild: [text] })
          : () => undefined;
        const { violations, error } = checkDockerfile(text, { buildPlatform, image, ignorePatterns: ["a*", "!ab"] });
        const lines = text.split("\n").length;
        for (const { range } of violations) {
          expect(range.start).toBeGreaterThan(0);
          expect(range.end).toBeLessThanOrEqual(lines);
        }
        if (error?.range !== undefined) expect(error.range.end).toBeLessThanOrEqual(lines);
      }),
      { numRuns: 1000 },
    );
  });

  test("single instructions, mounts, modes and repositories", () => {
    const soup = fc
      .array(fc.oneof(bits, fc.string({ maxLength: 6 })), { maxLength: 12 })
      .map((parts) => parts.join(""));
    const keyword = fc.constantFrom(
      ..."ADD ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM HEALTHCHECK LABEL MAINTAINER ONBUILD RUN SHELL STOPSIGNAL USER VOLUME WORKDIR".split(
        " ",
      ),
    );
    fc.assert(
      fc.property(keyword, soup, (name, rest) => {
        attempt(() => parseInstruction(`${name} ${rest}`));
        attempt(() => parseMount(rest));
        attempt(() => parseMount(`type=cache,${rest}`));
        const change = attempt(() => parseChmod(rest));
        if (change !== refused) expect(change(0o644, false) & ~0o7777).toBe(0);
        attempt(() => parseGitRef(rest));
        attempt(() => parseGitRef(`https://h/r.git${rest}`));
      }),
      { numRuns: 1500 },
    );
  });

  test("modes: what chmod takes stays within the permission bits, and says the same the second time", () => {
    const symbols = fc.array(fc.constantFrom(..."ugoarwxXst+-=,07189".split("")), { maxLength: 12 });
    fc.assert(
      fc.property(symbols, fc.integer({ min: 0, max: 0o7777 }), fc.boolean(), (letters, mode, directory) => {
        const change = attempt(() => parseChmod(letters.join("")));
        if (change === refused) return;
        const once = change(mode, directory);
        expect(once & ~0o7777).toBe(0);
        expect(change(mode, directory)).toBe(once);
      }),
      { numRuns: 1500 },
    );
  });
});

const word = fc
  .array(fc.oneof(bits, fc.constantFrom("a", "v", "#", "##", "%", "%%", "//", "+", "-", "?", ":", "1", "@")), {
    maxLength: 20,
  })
  .map((parts) => parts.join(""));

test("words: matched names were set, unmatched ones were not, and text and words hold the same letters", () => {
  const env = new Map([
    ["a", "x y"],
    ["v", "👽*"],
  ]);
  fc.assert(
    fc.property(word, fc.constantFrom<"\\" | "`">("\\", "`"), fc.boolean(), (text, mark, skipUnset) => {
      const result = attempt(() => processWord(text, env, { escape: mark, skipUnset }));
      if (result === refused) return;
      for (const name of result.matched) expect(env.has(name)).toBe(true);
      for (const name of result.unmatched) expect(env.has(name)).toBe(false);
      expect(result.words.join("").replace(/\s/g, "")).toBe(result.text.replace(/\s/g, ""));
    }),
    { numRuns: 1500 },
  );
});

const glob = fc
  .array(fc.constantFrom("a", "b", "/", "*", "?", "**", "[a-b]", "[^a]", "[", "]", "\\", "-", "👽", "."), {
    maxLength: 10,
  })
  .map((parts) => parts.join(""));
const name = fc.array(fc.constantFrom("a", "b", "/", "👽", "."), { maxLength: 8 }).map((parts) => parts.join(""));

/** filepath.Match as its documentation says it, letter by letter, without regard to time. */
function naiveMatch(pattern: string[], text: string[]): boolean {
  const [first, ...rest] = pattern;
  if (first === undefined) return text.length === 0;
  if (first === "*")
    return naiveMatch(rest, text) || (text[0] !== undefined && text[0] !== "/" && naiveMatch(pattern, text.slice(1)));
  if (text[0] === undefined) return false;
  if (first === "?") return text[0] !== "/" && naiveMatch(rest, text.slice(1));
  return first === text[0] && naiveMatch(rest, text.slice(1));
}

test("a file name matches its pattern as the definition has it", () => {
  fc.assert(
    fc.property(glob, name, (pattern, text) => {
      const found = attempt(() => filepathMatch(pattern, text));
      if (!/[[\\]/.test(pattern)) expect(found).toBe(naiveMatch([...pattern], [...text]));
      // A plain name matches itself alone.
      if (found !== refused && !/[[\]*?\\]/.test(pattern)) expect(found).toBe(pattern === text);
    }),
    { numRuns: 1500 },
  );
});

test("an ignore file has at most a pattern for each line, and its verdicts hold when they are asked for again", () => {
  const line = fc.array(fc.oneof(glob, fc.constantFrom("!", "#", " ", "\t", "\r", "../", "./", "\ufeff")), {
    maxLength: 4,
  });
  fc.assert(
    fc.property(fc.array(line, { maxLength: 5 }), name, (lines, path) => {
      const patterns = parseIgnoreFile(lines.map((parts) => parts.join("")).join("\n"));
      expect(patterns.length).toBeLessThanOrEqual(lines.length);
      for (const pattern of patterns) expect(pattern).toMatch(/^[^\n]+$/);
      attempt(() => {
        const matcher = createIgnoreMatcher(patterns);
        // Asking twice changes nothing: the matcher holds no state of its own.
        const asked = matcher.matches(path);
        const { keep } = matcher.visit(matcher.root(), path);
        expect(matcher.matches(path)).toBe(asked);
        expect(matcher.visit(matcher.root(), path).keep).toBe(keep);
      });
    }),
    { numRuns: 1500 },
  );
});
