import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { conformance } from "../../test/support/conformance.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { rules } from "./checks/rules.ts";
import { detectSyntax, findDirective, readDirectives } from "./directives.ts";
import { chompHeredoc, heredocsOfLine, parseHeredocWord } from "./heredoc.ts";
import type { Node } from "./node.ts";
import { parse } from "./parse.ts";
import { parseStages } from "./parseDockerfile.ts";
import { readJsonArray, splitWords, valueReaders } from "./readValues.ts";

const files = conformance("parser");
const tables = conformance("parser-tables");

describe.skipIf(files === undefined)("the syntax tree is BuildKit's", () => {
  test.each<{ name: string; dockerfile: string; ast: string }>(files?.corpus ?? [])("$name", (row) => {
    const dump = parse(row.dockerfile)
      .nodes.map((node) => `(${dumpNode(node)})\n`)
      .join("");
    expect(`${dump.trim()}\n`).toBe(row.ast);
  });

  test.each<{ name: string; dockerfile: string }>(files?.negative ?? [])("$name is refused", (row) => {
    expect(() => parse(row.dockerfile)).toThrow(SlipwayError);
  });

  test.each<{ name: string; dockerfile: string; start: number; end: number; children: [number, number][] }>(
    files?.lines ?? [],
  )("lines of $name", (row) => {
    const { nodes } = parse(row.dockerfile);
    expect(nodes.map(({ start, end }): [number, number] => [start, end])).toEqual(row.children);
    expect([nodes[0]?.start, nodes.at(-1)?.end]).toEqual([row.start, row.end]);
  });
});

describe.skipIf(tables === undefined)("the parser's small tables hold", () => {
  test.each<{ id: string; input: string; expected: { name: string; value: string }[] }>(tables?.directives ?? [])(
    "$id",
    (row) => expect(readDirectives(row.input).map(({ name, value }) => ({ name, value }))).toEqual(row.expected),
  );

  type Found = { ok: boolean; syntax?: string; value?: string; cmdline?: string; startLine?: number };
  test.each<{ id: string; input: string; expected: Found }>(tables?.detectSyntax ?? [])("$id", (row) => {
    expectFound(detectSyntax(row.input), row.expected, row.expected.syntax);
  });
  test.each<{ id: string; key: string; input: string; expected: Found }>(tables?.parseDirective ?? [])("$id", (row) => {
    expectFound(findDirective(row.key, row.input), row.expected, row.expected.value);
  });

  test.each<{ id: string; input: string; expected?: string[] }>(tables?.jsonArrays ?? [])("$id $input", (row) => {
    if (row.expected === undefined) expect(() => readJsonArray(row.input)).toThrow();
    else expect(readJsonArray(row.input)).toEqual(row.expected);
  });

  test.each<{ id: string; instruction: string; input: string; expected?: string[] }>(tables?.nameVal ?? [])(
    "$id $input",
    (row) => {
      const read = () => valueReaders[row.instruction.toLowerCase()]?.(row.input, "\\").values;
      if (row.expected === undefined) expect(read).toThrow();
      else expect(read()).toEqual(row.expected);
    },
  );

  test.each<{ id: string; input: string; expected: string[] }>(tables?.words ?? [])("$id $input", (row) =>
    expect(splitWords(row.input, "\\")).toEqual(row.expected),
  );

  type Warned = { shortContains: string[]; detailContains?: string[] };
  test.each<{ id: string; dockerfile: string; warnings: Warned[] }>(tables?.warnings ?? [])("$id", (row) => {
    const found = parse(row.dockerfile).emptyContinuations;
    expect(found).toHaveLength(row.warnings.length);
    for (const [i, warning] of row.warnings.entries()) {
      for (const part of warning.shortContains)
        expect(`Empty continuation line found in: ${found[i]?.original}`).toContain(part);
      // The first line of the detail is the description of the rule that reports it.
      for (const part of warning.detailContains ?? []) expect(rules.NoEmptyContinuation.description).toContain(part);
    }
  });

  test.each<{ id: string; dockerfileParts: [string, number][]; error: string }>(tables?.errors ?? [])("$id", (row) => {
    const text = row.dockerfileParts.map(([part, count]) => part.repeat(count)).join("");
    expect(() => parse(text)).toThrow(expect.objectContaining({ message: row.error }));
  });

  test.each<{ id: string; dockerfile: string; firstChild: number; children: (unknown[] | null)[] }>(
    tables?.heredocs ?? [],
  )("$id", (row) => {
    const { nodes } = parse(row.dockerfile);
    expect(nodes.slice(row.firstChild).map(({ heredocs }) => (heredocs.length === 0 ? null : heredocs))).toEqual(
      row.children as never,
    );
  });

  test.each<{ id: string; input: string; expected: string }>(tables?.heredocChomp ?? [])("$id", (row) =>
    expect(chompHeredoc(row.input)).toBe(row.expected),
  );

  test.each<{ id: string; input: string; expected?: { name: string } | null }>(tables?.heredocWord ?? [])(
    "$id $input",
    (row) => {
      if (row.expected === undefined) expect(() => parseHeredocWord(row.input)).toThrow(SlipwayError);
      else expect(parseHeredocWord(row.input)?.name).toBe(row.expected?.name as string);
    },
  );

  // The row that upstream does not check yields nothing, as its note says.
  test.each<{ id: string; input: string; expected: string[]; unchecked?: boolean }>(tables?.heredocsFromLine ?? [])(
    "$id $input",
    (row) =>
      expect(heredocsOfLine(row.input).map((heredoc) => heredoc.name)).toEqual(row.unchecked ? [] : row.expected),
  );
});

test("lines may end in CR LF, also within a heredoc, where they are content", () => {
  const { nodes } = parse("FROM a\r\nRUN x \\\r\n  y\r\nCOPY <<E /\r\nhi\r\nE\r\nUSER u\r\n");
  expect(nodes.map((node) => node.values)).toEqual([["a"], ["x   y"], ["<<E", "/"], ["u"]]);
  expect(nodes[2]?.heredocs[0]?.content).toBe("hi\r\n");
});

test("a byte-order mark is no part of the first line", () => {
  expect(parse("\ufeff# escape=`\nFROM a").mark).toBe("`");
});

test("only comments directly above belong to an instruction", () => {
  const { nodes } = parse("# one\n\n# two\nFROM a\n# three\n#\n# four\nUSER u\nUSER v\n");
  expect(nodes.map((node) => node.comments)).toEqual([["two"], ["four"], []]);
});

test.each([
  ["# escape=x\nFROM a", "invalid escape token 'x' does not match ` or \\", 1],
  ["# syntax=a\n# syntax=b\nFROM a", "only one syntax parser directive can be used", 2],
  ["FROM a\nRUN <<E\nbody\n", "unterminated heredoc", 2],
  ['FROM a\nRUN ["a", 1]', "when using JSON array syntax, arrays must be comprised of strings only", 2],
  ["FROM a\n\nENV x=1 y", 'Syntax error - can\'t find = in "y". Must be of the form: name=value', 3],
])("%j is refused at its line", (text, message, start) => {
  expect(() => parse(text, "Dockerfile.x")).toThrow(
    expect.objectContaining({ message, range: expect.objectContaining({ start, file: "Dockerfile.x", text }) }),
  );
});

const piece = fc.constantFrom(
  ..."FROM a,RUN,COPY,ENV,ONBUILD,HEALTHCHECK,CMD,LABEL,ARG,<<E,<<-E,\nE\n,\n,\r\n,\\\n,\\,#,# escape=`,`,\t, ,\",',[,],--x,=,$a,${,\u0000,\ufeff,é,👽".split(
    ",",
  ),
);

test("any text is read or refused with an error that has a range within the text", () => {
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 80 }), (pieces) => {
      const text = pieces.join("");
      const lines = text.split("\n").length;
      try {
        const { dockerfile, error } = parseStages(text, "Dockerfile");
        for (const stage of dockerfile.stages) expect(stage.from.range.end).toBeLessThanOrEqual(lines);
        if (error !== undefined) throw error;
      } catch (error) {
        expect(error).toBeInstanceOf(SlipwayError);
        const range = (error as SlipwayError).range;
        expect(range?.start).toBeGreaterThanOrEqual(1);
        expect(range?.end).toBeLessThanOrEqual(lines);
        expect(range?.start as number).toBeLessThanOrEqual(range?.end as number);
      }
    }),
    { numRuns: 500 },
  );
});

function expectFound(
  found: { value: string; commandLine: string; line: number } | undefined,
  expected: { ok: boolean; cmdline?: string; startLine?: number; endLine?: number },
  value: string | undefined,
): void {
  expect(found !== undefined).toBe(expected.ok);
  if (found === undefined) return;
  if (value !== undefined) expect(found.value).toBe(value);
  if (expected.cmdline !== undefined) expect(found.commandLine).toBe(expected.cmdline);
  // A directive is one line.
  if (expected.startLine !== undefined)
    expect([found.line, found.line]).toEqual([expected.startLine, expected.endLine ?? 0]);
}

function dumpNode(node: Node): string {
  const flags = node.flags.length === 0 ? "" : ` [${node.flags.map(goQuote).join(" ")}]`;
  const trigger = node.trigger === undefined ? "" : ` (${dumpNode(node.trigger)})`;
  return `${node.name.toLowerCase()}${flags}${trigger}${node.values.map((value) => ` ${goQuote(value)}`).join("")}`;
}

function goQuote(text: string): string {
  const named: Record<string, string> = {
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
  };
  const escaped = text
    .replace(/["\\]/g, "\\$&")
    .replace(
      /[\u0000-\u001f\u007f]/g,
      (control) => named[control] ?? `\\x${control.charCodeAt(0).toString(16).padStart(2, "0")}`,
    );
  return `"${escaped}"`;
}
