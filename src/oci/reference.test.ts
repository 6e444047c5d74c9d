import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { conformance } from "../../test/support/conformance.ts";
import {
  familiarName,
  formatReference,
  normalizeReference,
  parseReference,
  readImageID,
  readName,
  readReference,
  type WrittenReference,
} from "./reference.ts";
import { SlipwayError } from "./SlipwayError.ts";

const data = conformance("references");

interface Parts {
  id: string;
  input: string;
  name: string;
  domain?: string;
  tag: string;
  digest: string;
  error?: string | true;
}

/** Absent parts are empty, as in the tables. */
function partsOf({ domain = "", path, tag = "", digest }: WrittenReference) {
  return { name: domain === "" ? path : `${domain}/${path}`, domain, tag, digest: digest ?? "" };
}

function given<T extends string>(name: T, text: string): { [key in T]?: string } {
  return (text === "" ? {} : { [name]: text }) as { [key in T]?: string };
}

function expectError(work: () => unknown, row: { id: string; error?: string | true }): void {
  expect(work, row.id).toThrow(SlipwayError);
  if (typeof row.error === "string") expect(work, row.id).toThrow(data.errors[row.error]);
}

/** The groups of the tables' regular expressions: (domain, path) or (name, tag, digest). Undefined where there is no match. */
function matched(work: () => string[]): string[] | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof SlipwayError) return undefined;
    throw error;
  }
}

describe.skipIf(data === undefined)(
  "distribution/reference's tables (skipped where ../shared/conformance is absent)",
  () => {
    test("a reference is read as written, and written back the same", () => {
      for (const row of [...data.parse, ...data.serialization] as Parts[]) {
        if (row.error !== undefined) {
          expectError(() => readReference(row.input), row);
          continue;
        }
        const found = readReference(row.input);
        const { name, domain, tag, digest } = partsOf(found);
        expect([row.id, name, tag, digest]).toEqual([row.id, row.name, row.tag, row.digest]);
        if (row.domain !== undefined) expect([row.id, domain]).toEqual([row.id, row.domain]);
        expect([row.id, formatReference(found)]).toEqual([row.id, row.input]);
      }
    });

    test("a name alone is checked and parted", () => {
      for (const row of data.withName) expectError(() => readName(row.input), row);
      for (const row of data.domainAndPath)
        expect([row.id, readName(row.input)]).toEqual([row.id, { domain: row.domain, path: row.path }]);
    });

    test("tag and digest are added in one order, whichever came first", () => {
      for (const row of [...data.withTag, ...data.withDigest]) {
        const parts = { ...readName(row.name), ...given("tag", row.tag), ...given("digest", row.digest) };
        expect([row.id, formatReference(parts)]).toEqual([row.id, row.expected]);
      }
      for (const row of data.invalidComponents)
        expectError(
          () =>
            formatReference({
              ...normalizeReference(row.input),
              ...given("tag", row.tag ?? ""),
              ...given("digest", row.digest ?? ""),
            }),
          row,
        );
      for (const row of data.tagAndDigest) {
        const found = normalizeReference(row.input);
        expect([formatReference(found), familiarName(row.full)]).toEqual([row.full, row.familiar]);
        expect([found.tag !== undefined, found.digest !== undefined]).toEqual([row.tagged, row.digested]);
      }
    });

    test("names complete themselves as Docker completes them", () => {
      for (const row of data.dockerRef)
        expect([row.id, parseReference(row.input).canonical]).toEqual([row.id, row.expected]);
      for (const row of data.parseNamed) {
        const complete = formatReference(normalizeReference(row.input));
        expect([row.id, complete === row.input]).toEqual([row.id, row.error === undefined]);
        if (row.error === undefined)
          expect(normalizeReference(row.input)).toEqual({ domain: row.domain, path: row.path });
      }
      for (const row of data.normalizedSplit)
        expect([row.id, normalizeReference(row.input)]).toEqual([row.id, { domain: row.domain, path: row.path }]);
    });

    test("valid names are taken and invalid ones refused", () => {
      for (const row of data.normalizedName) {
        const valid = matched(() => [parseReference(row.input).canonical]) !== undefined;
        expect([row.id, row.input, valid]).toEqual([row.id, row.input, row.valid]);
      }
    });

    test("every spelling of a repository has one host, path and short form", () => {
      for (const row of data.repositoryInfo) {
        for (const input of row.inputs) {
          const { domain, path } = parseReference(input);
          expect([row.id, domain, path, `${domain}/${path}`]).toEqual([row.id, row.domain, row.path, row.fullName]);
          expect(familiarName(`${domain}/${path}`)).toBe(row.familiarName);
        }
      }
    });

    test("a whole ID is no name", () => {
      for (const row of data.anyReference) {
        const id = readImageID(row.input);
        expect([row.id, id !== undefined]).toEqual([row.id, row.digestOnly ?? false]);
        expect([row.id, id ?? formatReference(normalizeReference(row.input))]).toEqual([row.id, row.expected]);
      }
    });

    test("hosts, names, references and identifiers have distribution's grammar", () => {
      const readers: Record<string, (text: string) => string[]> = {
        domainRegexp: (text) => [readName(`${text}/a`).domain === text ? text : readName("").path],
        nameRegexp: (text) => {
          const { domain = "", path } = readName(text);
          return [domain, path];
        },
        referenceRegexp: (text) => {
          const { name, tag, digest } = partsOf(readReference(text));
          return [name, tag, digest];
        },
        identifierRegexp: (text) => [text.includes(":") ? readName("").path : (readImageID(text) ?? readName("").path)],
      };
      for (const [table, read] of Object.entries(readers))
        for (const row of data[table]) {
          const groups = matched(() => read(row.input));
          expect([row.id, groups !== undefined]).toEqual([row.id, row.match]);
          if (row.groups !== undefined) expect([row.id, groups]).toEqual([row.id, row.groups]);
        }
    });
  },
);

test("a short form keeps its tag", () => {
  expect(familiarName("docker.io/library/alpine:latest")).toBe("alpine:latest");
});

test.each([
  ["Alpine", "repository name must be lowercase"],
  ["a".repeat(64), "64 hexadecimal digits are an image ID, not a name"],
  [`a@sha256:${"F".repeat(64)}`, "invalid checksum digest format"],
  [`a@sha256:${"f".repeat(63)}`, "invalid checksum digest length"],
  [`a@sha512:${"f".repeat(128)}`, "unsupported digest algorithm"],
  ["h.io/a b", 'invalid reference format: "h.io/a b"'],
])("%s is refused with the reason", (text, message) => {
  expect(() => parseReference(text)).toThrow(message);
});

const piece = fc.constantFrom(..."a|A|0|.|_|__|-|/|:|@|[|]|::1|localhost|sha256:|é|\n| ".split("|"), "f".repeat(64));

test("any text is a reference that reads back the same, or is refused with a SlipwayError", () => {
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 10 }), (pieces) => {
      try {
        const found = parseReference(pieces.join(""));
        expect(parseReference(found.canonical).canonical).toBe(found.canonical);
        expect(parseReference(familiarName(found.canonical)).canonical).toBe(found.canonical);
      } catch (error) {
        expect(error).toBeInstanceOf(SlipwayError);
      }
    }),
    { numRuns: 3000 },
  );
});

test("a text that is too long to be a name is refused at once, and is not repeated", () => {
  for (const part of ["a", "a-", "a.", "a/", "a:", "[::", "A1", "-"])
    expect(() => parseReference(`${part.repeat(500_000)}!`)).toThrow(/^.{1,150}$/);
});
