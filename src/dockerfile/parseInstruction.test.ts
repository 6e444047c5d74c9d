import { describe, expect, test } from "bun:test";
import { conformance } from "../../test/support/conformance.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { docComment } from "./docComment.ts";
import { type FlagKind, readFlags } from "./flags.ts";
import { chompHeredoc } from "./heredoc.ts";
import type { InstructionOf } from "./instruction.ts";
import { instructionOf } from "./instructionOf.ts";
import type { Node } from "./node.ts";
import { parse } from "./parse.ts";
import { parseDevice } from "./parseDevice.ts";
import { parseDockerfile } from "./parseDockerfile.ts";
import { parseInterval } from "./parseHealthcheck.ts";
import { parseInstruction } from "./parseInstruction.ts";
import { parseMount } from "./parseMount.ts";

const data = conformance("instructions");

function nodeOf(name: string, values: string[], json = false): Node {
  const place = { start: 1, end: 1, comments: [], original: name };
  return { name, flags: [], values, json, heredocs: [], ...place };
}

describe.skipIf(data === undefined)("instructions are read as BuildKit's tables say", () => {
  type Expected = { errorEquals?: string; errorContains?: string };
  test.each<{ id: string; dockerfile: string } & Expected>(data?.errors ?? [])("$id $dockerfile", (row) => {
    const [node] = parse(row.dockerfile).nodes;
    expectFailure(() => instructionOf(node as Node), row);
  });

  test.each<{ id: string; node: string[]; expected?: { kind: string; test: string[] } } & Expected>(data?.nodes ?? [])(
    "$id",
    (row) => {
      const [name = "", ...values] = row.node;
      if (row.expected !== undefined) expect(instructionOf(nodeOf(name, values))).toMatchObject(row.expected);
      else expectFailure(() => instructionOf(nodeOf(name, values)), row);
    },
  );

  test.each<{ id: string; flag: string; input: string; ok?: boolean } & Expected>(data?.optInterval ?? [])(
    "$id $input",
    (row) => {
      if (row.ok) expect(parseInterval(row.flag, row.input)).toBeGreaterThanOrEqual(0);
      else expectFailure(() => parseInterval(row.flag, row.input), row);
    },
  );

  test.each<{ id: string; dockerfile: string; expected: Record<string, unknown> }>(data?.docComments ?? [])(
    "$id",
    (row) => {
      const { globalArgs, stages } = parseDockerfile(row.dockerfile);
      const argsOf = (arg: InstructionOf<"arg">) =>
        arg.args.map(({ key }) => ({ key, docComment: docComment(arg.comments, key) ?? "" }));
      expect({
        metaArgs: globalArgs.flatMap(argsOf),
        stages: stages.map((stage) => ({
          docComment: docComment(stage.from.comments, stage.name),
          args: stage.instructions.flatMap((each) => (each.kind === "arg" ? [argsOf(each)] : [])),
        })),
      }).toEqual(row.expected as never);
    },
  );

  test.each<{ id: string; dockerfile: string }>(data?.mustNotCrash ?? [])("$id $dockerfile", (row) => {
    try {
      parseDockerfile(row.dockerfile);
    } catch (error) {
      expect(error).toBeInstanceOf(SlipwayError);
    }
  });

  test.each<{ id: string; dockerfile: string; dest: string; sources: string[]; contents: unknown[] }>(
    data?.copyHeredoc ?? [],
  )("$id", (row) => {
    const { source, dest } = parseInstruction(row.dockerfile) as InstructionOf<"copy" | "add">;
    const contents = source.heredocs.map((each) => ({
      path: each.name,
      data: each.chomp ? chompHeredoc(each.content) : each.content,
      expand: each.expand,
    }));
    expect({ dest, sources: source.paths, contents }).toEqual({
      dest: row.dest,
      sources: row.sources,
      contents: row.contents as never,
    });
  });

  test.each<{ id: string; dockerfile: string; shell: boolean; command: string[]; files: unknown[] }>(
    data?.runHeredoc ?? [],
  )("$id", (row) => {
    const { command } = parseInstruction(row.dockerfile) as InstructionOf<"run">;
    expect(command.shell).toBe(row.shell);
    expect(command.words).toEqual(row.command);
    expect(command.files.map(({ name, content, chomp }) => ({ name, data: content, chomp }))).toEqual(
      row.files as never,
    );
  });

  interface FlagRow {
    id: string;
    declared: { name: string; type: "string" | "bool"; default: string | boolean }[];
    args: string[];
    ok?: boolean;
    values?: Record<string, string | boolean>;
    used?: string[];
    notUsed?: string[];
  }
  test.each<FlagRow>(data?.flags ?? [])("$id", (row) => {
    const kinds: Record<string, FlagKind> = Object.fromEntries(row.declared.map(({ name, type }) => [name, type]));
    if (!row.ok) {
      expect(() => readFlags(row.args, kinds)).toThrow(SlipwayError);
      return;
    }
    const flags = readFlags(row.args, kinds);
    for (const { name, type, default: initial } of row.declared) {
      const wanted = row.values?.[name];
      if (wanted !== undefined)
        expect((type === "bool" ? flags.bool(name) : flags.string(name)) ?? initial).toBe(wanted);
    }
    if (row.used !== undefined) expect(flags.names).toEqual(row.used);
    for (const name of row.notUsed ?? []) expect(flags.names).not.toContain(name);
  });

  test.each<{ id: string; input: string; expected: unknown }>(data?.device ?? [])("$id $input", (row) =>
    expect(parseDevice(row.input)).toEqual(row.expected as never),
  );

  test.each<{ id: string; args: string[]; json: boolean; expected: string[] }>(data?.jsonArgs ?? [])("$id", (row) => {
    const { command } = instructionOf(nodeOf("cmd", row.args, row.json)) as InstructionOf<"cmd" | "entrypoint">;
    expect(command.words).toEqual(row.expected);
  });

  test.each<{ id: string; dockerfile: string; expected: string[] }>(data?.flagsUsed ?? [])("$id", (row) => {
    const [node] = parse(row.dockerfile).nodes;
    expect(readFlags(node?.flags ?? [], { mount: "list", network: "string" }).names).toEqual(row.expected);
    expect((parseInstruction(row.dockerfile) as InstructionOf<"run">).mounts).toHaveLength(1);
  });
});

test("slips of the hand are answered with what was likely meant", () => {
  const hints: [string, string][] = [
    ["CPOY a b", "Did you mean COPY?"],
    ["rum x", "Did you mean run?"],
    ["COPY --form=x a b", "Did you mean --from?"],
    ["RUN --mount=type=cahce,target=/x y", "Did you mean cache?"],
    ["RUN --mount=typ=cache,target=/x y", "Did you mean type?"],
  ];
  for (const [text, hint] of hints) expect(() => parseInstruction(text)).toThrow(expect.objectContaining({ hint }));
});

test("an instruction knows its lines, its text and its file", () => {
  const text = "FROM a\nRUN x \\\n# comment\n  && y\nCOPY <<E /\nhi\nE\n";
  const { stages } = parseDockerfile(text, { file: "x/Dockerfile" });
  expect(stages[0]?.instructions.map(({ range, original }) => ({ range, original }))).toEqual([
    { range: { file: "x/Dockerfile", start: 2, end: 4, text }, original: "RUN x   && y" },
    { range: { file: "x/Dockerfile", start: 5, end: 7, text }, original: "COPY <<E /" },
  ]);
});

test("an ONBUILD trigger keeps its heredoc and can be read again", () => {
  const { stages } = parseDockerfile("FROM a\nONBUILD COPY <<E /f\nhi\nE\n");
  const [onbuild] = stages[0]?.instructions ?? [];
  expect(onbuild).toMatchObject({ kind: "onbuild", expression: "COPY <<E /f\nhi\nE" });
  const range = { file: "Dockerfile", start: 9, end: 9 };
  const trigger = parseInstruction((onbuild as InstructionOf<"onbuild">).expression, { range });
  expect(trigger).toMatchObject({ kind: "copy", dest: "/f", source: { heredocs: [{ content: "hi\n" }] }, range });
});

test("a trigger is read with the escape character of its file", () => {
  expect(parseInstruction("RUN a `\n  b", { mark: "`" })).toMatchObject({
    command: { words: ["a   b"] },
    range: { start: 1, end: 2 },
  });
});

test("stages have lower-case names, and ARGs before them are global", () => {
  const { globalArgs, stages } = parseDockerfile("ARG V=1 W\nFROM --platform=$P a:$V AS Build\nFROM Build\n");
  expect(globalArgs[0]?.args).toEqual([{ key: "V", value: "1" }, { key: "W" }]);
  expect(stages.map(({ name }) => name)).toEqual(["build", ""]);
  expect(stages[0]?.from).toMatchObject({ image: "a:$V", platform: "$P", as: "Build" });
});

test.each([
  ["RUN x", "no build stage in current context"],
  ["ARG x", "dockerfile contains no stages to build"],
  ["# nothing", "file with no instructions"],
  ["FROM a b", "FROM requires either one or three arguments"],
  ["FROM a AS 1x", "invalid name for build stage"],
  ["FROM a\nCOPY a <<E\nE", "COPY cannot accept a heredoc as a destination"],
  ["FROM a\nSHELL sh -c", "SHELL requires the arguments to be in JSON form"],
  ["FROM a\nHEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"],
  ["FROM a\nHEALTHCHECK NONE x", "HEALTHCHECK NONE takes no arguments"],
  ["FROM a\nHEALTHCHECK --retries=-1 CMD x", "--retries cannot be negative (-1)"],
  ['FROM a\nVOLUME [" "]', "VOLUME specified can not be an empty string"],
  ["FROM a\nENV =x", "ENV names can not be blank"],
  ["FROM a\nCOPY --link --link a b", "duplicate flag specified: --link"],
  ["FROM a\nRUN --mount=type=secret x", "invalid secret mount"],
])("%j is refused", (text, message) => {
  expect(() => parseDockerfile(text)).toThrow(message);
});

test("mounts are read with their short names, quotes and defaults left to the plan", () => {
  expect(parseMount("type=cache,dst=/a,ro,id=$ID,sharing=locked,mode=0700,uid=1")).toMatchObject({
    type: "cache",
    target: "/a",
    readOnly: true,
    id: "$ID",
    sharing: "locked",
    mode: "0700",
    uid: "1",
  });
  expect(parseMount('"source=a,b",target=/x')).toMatchObject({ type: "bind", source: "a,b", target: "/x" });
  expect(parseMount("type=secret,src=key,required=false")).toMatchObject({ id: "key", required: false });
});

test("a mount whose type or truth value is a variable is read when it is known", () => {
  const mount = parseMount("type=$T,target=/x,ro=$R");
  expect(mount).not.toHaveProperty("readOnly");
  expect(parseMount(mount.text ?? "", (word) => ({ $T: "cache", $R: "true" })[word] ?? word)).toMatchObject({
    type: "cache",
    readOnly: true,
  });
});

test.each([
  ["type=tmpfs,target=/x,mode=0700", 'mode not allowed for "tmpfs" type mounts'],
  ["type=bind,from=$X,target=/x", "'from' doesn't support variable expansion, define alias stage instead"],
  ["type=ssh,sharing=shared", "invalid cache sharing set for ssh mount"],
  ["type=bind,required,target=/x", "unexpected key 'required' for mount type 'bind'"],
  ["target", "invalid field 'target' must be a key=value pair"],
  ["type=cache,target=/x,ro=maybe", "invalid value for ro: maybe"],
  ['a"b', 'failed to parse csv mounts: bare " in non-quoted field'],
])("the mount %s is refused", (text, message) => {
  expect(() => parseMount(text)).toThrow(message);
});

function expectFailure(work: () => unknown, row: { errorEquals?: string; errorContains?: string }): void {
  expect(work).toThrow(SlipwayError);
  expect(work).toThrow(
    row.errorEquals === undefined ? row.errorContains : expect.objectContaining({ message: row.errorEquals }),
  );
}
