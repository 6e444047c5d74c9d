import { expect, test } from "bun:test";
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildImage } from "../support/builtImage.ts";
import { conformance } from "../support/conformance.ts";
import { e2e } from "../support/e2e.ts";
import type { Slipway } from "../support/withSlipway.ts";

interface ErrorRow {
  id: string;
  dockerfile: string;
  lines: number[];
}

interface CheckRow {
  id: string;
  dockerfile: string;
  dockerignore?: string;
  buildArgs?: Record<string, string>;
  buildErr?: string;
  buildErrRegexp?: string;
  buildErrLine?: number;
}

interface TreeRow {
  id: string;
  context: { path: string; type: "dir" | "file" | "symlink"; mode?: string; content?: string; target?: string }[];
  contextAs?: string;
  dockerfile: string;
  files: { path: string; exists: boolean; content?: string }[];
  emptyDirs?: string[];
}

/** Rows of convert.json that are left out; docs/differences.md says why. */
const notBuilt = ["errorLines-14c067bd"];

const errors = conformance("convert") as { errorLines: ErrorRow[] } | undefined;
const checks = conformance("checks") as { cases: CheckRow[] } | undefined;
const exclude = conformance("copy-exclude") as { builds: TreeRow[] } | undefined;

if (errors === undefined || checks === undefined || exclude === undefined)
  test.skip("BuildKit's tables of builds hold (skipped: ../shared/conformance is absent)", () => {});
else {
  e2e("a build that fails points at the lines that BuildKit points at", async (slipway) => {
    for (const row of errors.errorLines.filter(({ id }) => !notBuilt.includes(id)))
      expect([row.id, linesOf(await failedBuild(slipway, row))]).toEqual([row.id, row.lines]);
  });

  e2e("a build that BuildKit's checks or parser stop is stopped with its words", async (slipway) => {
    for (const row of checks.cases) {
      if (row.buildErr === undefined && row.buildErrRegexp === undefined) continue;
      const shown = await failedBuild(slipway, row);
      if (row.buildErr !== undefined) expect([row.id, shown]).toEqual([row.id, expect.stringContaining(row.buildErr)]);
      if (row.buildErrLine !== undefined) expect([row.id, linesOf(shown)[0]]).toEqual([row.id, row.buildErrLine]);
    }
  });

  e2e("--exclude leaves out of a context and of a stage what BuildKit leaves out", async (slipway) => {
    for (const row of exclude.builds) {
      rmSync(slipway.directory, { recursive: true, force: true });
      mkdirSync(slipway.directory);
      writeTree(slipway.directory, row);
      const server = row.contextAs === undefined ? undefined : serveRepository(slipway.directory);
      const url = server === undefined ? "" : `http://127.0.0.1:${server.port}`;
      const args = server === undefined ? [] : ["--network=host"];
      const image = await buildImage(slipway, row.dockerfile.replaceAll("{{SERVER_URL}}", url), { args }).finally(
        () => void server?.stop(true),
      );
      const tree = image.tree();
      for (const { path, exists, content } of row.files) {
        const found = tree[path]?.replace(/^(?:\S+ ){3}(?:-> )?/, "");
        expect([row.id, path, found]).toEqual([row.id, path, exists ? (content as string) : undefined]);
      }
      for (const path of row.emptyDirs ?? []) {
        expect([row.id, tree[path]]).toEqual([row.id, expect.stringMatching(/^directory/)]);
        expect([row.id, Object.keys(tree).filter((each) => each.startsWith(`${path}/`))]).toEqual([row.id, []]);
      }
    }
  });
}

async function failedBuild(slipway: Slipway, row: CheckRow | ErrorRow): Promise<string> {
  writeFileSync(join(slipway.directory, "Dockerfile"), row.dockerfile);
  const { dockerignore = "", buildArgs = {} } = row as CheckRow;
  writeFileSync(join(slipway.directory, ".dockerignore"), dockerignore);
  const args = Object.entries(buildArgs).flatMap(([key, value]) => ["--build-arg", `${key}=${value}`]);
  const { exitCode, stderr } = await slipway.run(["build", ...args, "."], { exit: "any" });
  expect([row.id, exitCode, stderr]).toEqual([row.id, 1, stderr]);
  return stderr;
}

/** The lines that an error's excerpt marks. */
function linesOf(shown: string): number[] {
  return [...shown.matchAll(/^ *(\d+) \| >>> /gm)].map((found) => Number(found[1]));
}

function writeTree(directory: string, { context }: TreeRow): void {
  for (const { path, type, mode = "0644", content = "", target = "" } of context) {
    const at = join(directory, path);
    if (type === "dir") mkdirSync(at, { recursive: true, mode: Number.parseInt(mode, 8) });
    else if (type === "file") writeFileSync(at, content, { mode: Number.parseInt(mode, 8) });
    else symlinkSync(target, at);
  }
}

/** The directory as a repository with the tag 0.1, served as plain files. */
function serveRepository(directory: string): Bun.Server<undefined> {
  const git = (...args: string[]) => {
    const who = ["-c", "user.name=a", "-c", "user.email=a@b.c"];
    const { exitCode, stderr } = Bun.spawnSync(["git", ...who, ...args], { cwd: directory });
    if (exitCode !== 0) throw new Error(stderr.toString());
  };
  git("init", "-q");
  git("add", ".");
  git("commit", "-qm", "one");
  git("tag", "0.1");
  git("update-server-info");
  return Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: async (request) => {
      const file = Bun.file(join(directory, decodeURIComponent(new URL(request.url).pathname)));
      return (await file.exists()) ? new Response(file) : new Response("", { status: 404 });
    },
  });
}
