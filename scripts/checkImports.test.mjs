import { expect, test } from "bun:test";
import { checkImports } from "./checkImports.mjs";

const check = (path, text) => checkImports([{ path, text }]).map(({ line, message }) => `${line}: ${message}`);

test("a room may import itself and the rooms below it", () => {
  expect(
    check("src/store/blobs.ts", 'import { sha256 } from "../oci/digest.ts";\nimport { x } from "./x.ts";'),
  ).toEqual([]);
  expect(check("src/main.ts", 'await import("./cli/commands/build.ts");')).toEqual([]);
});

test("a room may not import a room above it, in whatever way it is written", () => {
  const message = "store/ may not import engine/, which stands above it";
  for (const text of [
    'import { build } from "../engine/build.ts";',
    'import type { Engine } from "../engine/Engine.ts";',
    'export * from "../engine/build.ts";',
    'import "../engine/build.ts";',
    'const { build } = await import("../engine/build.ts");',
    'type E = import("../engine/Engine.ts").Engine;',
    'new Worker(new URL("../engine/x.worker.ts", import.meta.url));',
  ])
    expect(check("src/store/blobs.ts", `\n${text}`)).toEqual([`2: ${message}`]);
});

test("the pure rooms see only oci, and the planner the language too", () => {
  expect(check("src/dockerfile/parse.ts", 'import { x } from "../oci/digest.ts";')).toEqual([]);
  expect(check("src/plan/plan.ts", 'import { x } from "../dockerfile/instruction.ts";')).toEqual([]);
  expect(check("src/plan/plan.ts", 'import { x } from "../store/Store.ts";')).toEqual([
    "1: plan/ may import only oci, dockerfile, not store/",
  ]);
  expect(check("src/dockerfile/parse.ts", 'import { x } from "../linux/Linux.ts";')).toHaveLength(1);
});

test("FFI is for linux/ alone", () => {
  expect(check("src/linux/createLinux.ts", 'import { dlopen } from "bun:ffi";')).toEqual([]);
  expect(check("src/store/flock.ts", 'import { dlopen } from "bun:ffi";')).toEqual([
    "1: only linux/ may import bun:ffi",
  ]);
});

test("tests may use test/support, sources may not", () => {
  const text = 'import { withStore } from "../../test/support/withStore.ts";';
  expect(check("src/store/blobs.test.ts", text)).toEqual([]);
  expect(check("src/store/blobs.ts", text)).toHaveLength(1);
});

test("comments and strings are no imports", () => {
  const text = '// import x from "../engine/x.ts"\n/* import("../engine/x.ts") */\nconst url = "http://example.com";';
  expect(check("src/store/blobs.ts", text)).toEqual([]);
});

test("a folder that is no room is refused", () => {
  expect(check("src/util/x.ts", 'import "node:fs";')[0]).toContain("util is no room");
});
