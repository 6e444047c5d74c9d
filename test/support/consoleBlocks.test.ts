import { expect, test } from "bun:test";
import { consoleBlocks, expectOutput, withRealIDs } from "./consoleBlocks.ts";

const page = [
  "text",
  "```console",
  "$ slipway run -it x sh",
  "root@4e07408562be:/# ls",
  "file",
  "$ cat > f <<'EOF'",
  "> one",
  "> EOF",
  "```",
  "```",
  "$ not a console block",
  "```",
].join("\n");

test("commands, what is typed inside, continued lines and output are told apart", () => {
  expect(consoleBlocks(page)).toEqual([
    { command: "slipway run -it x sh", output: [], inside: [{ command: "ls", output: ["file"] }], line: 3 },
    { command: "cat > f <<'EOF'\none\nEOF", output: [], inside: [], line: 6 },
  ]);
});

test("IDs of the page stand for the real ones from where they are first printed", () => {
  const ids = new Map<string, string>();
  const [written, real] = ["a".repeat(64), "b".repeat(64)];
  expectOutput(["…", `#5 writing image sha256:${written} …`], `#1 x\n#12 writing image sha256:${real} done\n`, ids);
  expect(withRealIDs(`slipway run ${"a".repeat(12)}`, ids)).toBe(`slipway run ${"b".repeat(12)}`);
  expect(() => expectOutput(["aaaaaaaaaaaa  x"], "cccccccccccc x", ids)).toThrow("was not printed");
});

test("lines come in the page's order, and words have to be the same", () => {
  expectOutput(["first", "third 1.5 kB"], "first\nsecond\nthird   22 kB\n", new Map());
  expect(() => expectOutput(["third", "first"], "first\nthird\n", new Map())).toThrow();
  expect(() => expectOutput(["hello"], "hello world\n", new Map())).toThrow();
});
