import { describe, expect, test } from "bun:test";
import { conformance } from "../../test/support/conformance.ts";
import { fragmentForm, isCommitID, parseGitRef, parseGitURL } from "./gitRef.ts";

const data = conformance("git-urls");

describe.skipIf(data === undefined)("git repositories are named as BuildKit's tables say", () => {
  type Expected = Record<string, unknown>;
  test.each<{ id: string; input: string; expected?: Expected; errorContains?: string }>(data?.gitRef ?? [])(
    "$id $input",
    (row) => {
      if (row.errorContains !== undefined) expect(() => parseGitRef(row.input)).toThrow(row.errorContains);
      else if (row.expected === undefined) expect(parseGitRef(row.input)).toBeUndefined();
      else {
        const found = parseGitRef(row.input) as unknown as Record<string, unknown>;
        for (const [key, value] of Object.entries(row.expected))
          expect([key, found[key] ?? null]).toEqual([key, value] as never);
      }
    },
  );

  test.each<[string, { id: string; input: string; expected: string; ok: boolean }]>([
    ...(data?.fragmentFormat ?? []).map((row: unknown) => ["", row]),
    ...(data?.fragmentFormatWithSubdir ?? []).map((row: unknown) => ["with subdir", row]),
  ])("fragment form %s %o", (subdir, row) => {
    // A repository named in a contradictory way has no fragment form either.
    let found: string | undefined;
    try {
      found = fragmentForm(row.input, { subdir: subdir !== "" });
    } catch {
      found = undefined;
    }
    expect(found !== undefined).toBe(row.ok);
    expect(found ?? row.input).toBe(row.expected);
  });

  test.each<{ id: string; input: string; error?: boolean; query: Record<string, string[]> | null } & Expected>(
    data?.url ?? [],
  )("$id $input", (row) => {
    const found = parseGitURL(row.input);
    if (row.error) {
      expect(found).toBeUndefined();
      return;
    }
    const { scheme, host, path, user, fragment = null, query } = found ?? {};
    const { id: _id, input: _input, ...expected } = row;
    expect({
      scheme,
      host,
      path,
      user,
      fragment,
      query: query === undefined ? null : Object.fromEntries(query),
    }).toEqual(expected as never);
  });

  test.each<{ id: string; input: string; expected: boolean }>(data?.commitSHA ?? [])("$id $input", (row) =>
    expect(isCommitID(row.input)).toBe(row.expected),
  );
});

test.each(["https://h/r.git?ref=", "https://h/r.git?ref=a&ref=b", "https://h/r.git?subdir=a#x:b"])(
  "%s asks for what does not go together",
  (text) => {
    expect(() => parseGitRef(text)).toThrow(expect.objectContaining({ code: "INVALID_GIT_URL" }));
  },
);
