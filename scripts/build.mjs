// Makes dist/slipway, one executable file, when a source is newer than it.
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { bunPath, root, slipwayPath } from "./lib/paths.mjs";
import { run } from "./lib/run.mjs";

/** Resolves when dist/slipway is up to date. It is replaced in one step: a slipway that runs meanwhile keeps its own file. */
export async function build({ force = false } = {}) {
  if (!force && existsSync(slipwayPath) && statSync(slipwayPath).mtimeMs > newest()) return;
  mkdirSync(dirname(slipwayPath), { recursive: true });
  const temporary = `${slipwayPath}.${process.pid}`;
  const workers = sources().filter((path) => path.endsWith(".worker.ts"));
  const started = new Date();
  try {
    const exit = await run(
      bunPath(),
      [
        "build",
        "--compile",
        // Files of the folder that slipway happens to run in must not change what it does.
        "--no-compile-autoload-dotenv",
        "--no-compile-autoload-bunfig",
        // Start-up is part of every number: parsed beforehand, and only the parts that a command loads.
        "--minify",
        "--bytecode",
        "--format=esm",
        "--splitting",
        "--sourcemap=none",
        join(root, "src", "main.ts"),
        ...workers,
        `--outfile=${temporary}`,
      ],
      { cwd: root, quiet: true },
    );
    if (exit !== 0) throw new Error(`bun build failed with exit code ${exit}`);
    renameSync(temporary, slipwayPath);
  } finally {
    rmSync(temporary, { force: true });
  }
  process.stderr.write(`build: dist/slipway made in ${((Date.now() - started.getTime()) / 1000).toFixed(1)} s\n`);
}

/** Latest change of a file, or of a folder (a file that went), that the executable is made of; milliseconds. */
function newest() {
  const own = ["package.json", "package-lock.json", "scripts/build.mjs"].map((path) => join(root, path));
  return Math.max(...[...own, ...sources({ folders: true })].map((path) => statSync(path).mtimeMs));
}

function sources({ folders = false } = {}) {
  return readdirSync(join(root, "src"), { recursive: true, withFileTypes: true })
    .filter((entry) => (entry.isDirectory() ? folders : entry.isFile() && !entry.name.endsWith(".test.ts")))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  build({ force: process.argv.includes("--force") }).catch((error) => {
    process.stderr.write(`build: ${error.message}\n`);
    process.exitCode = 1;
  });
}
