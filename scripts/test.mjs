// `npm test [-- PATHS…]`: set-up, build, all tests. Shows failures as they come; the last line is `N passed, N failed`.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "./build.mjs";
import { bunPath, root } from "./lib/paths.mjs";
import { countTests } from "./lib/countTests.mjs";
import { setup } from "./setup.mjs";

/** A test that needs longer than this hangs: end-to-end tests install packages in containers. */
const timeoutMs = 120_000;
/** So many lines of one failing file are shown: enough to see why, and a CI log stays readable. */
const maxLinesPerFile = 200;

try {
  await setup(["run", "registry", "test"]);
  await build();
  const folder = mkdtempSync(join(tmpdir(), "slipway-results-"));
  try {
    process.exitCode = await test(folder, process.argv.slice(2));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
} catch (error) {
  process.stdout.write(`${error.message}\n0 passed, 1 failed\n`);
  process.exitCode = 1;
}

/** Every test file has a process of its own: one that dies takes no other with it. End-to-end tests come last, one after another. */
async function test(folder, patterns) {
  const files = testFiles().filter(
    (file) => patterns.length === 0 || patterns.some((pattern) => file.includes(pattern)),
  );
  const total = { passed: 0, failed: 0, skipped: 0 };
  const single = files.filter((file) => file.startsWith("test/e2e/"));
  const side = files.filter((file) => !file.startsWith("test/e2e/"));
  await Promise.all(Array.from({ length: Math.min(availableParallelism(), 4) }, () => work(side)));
  await work(single);
  if (total.skipped > 0) process.stdout.write(`${total.skipped} skipped\n`);
  process.stdout.write(`${total.passed} passed, ${total.failed} failed\n`);
  return total.failed === 0 && total.passed > 0 ? 0 : 1;

  async function work(queue) {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) await testFile(file);
  }

  async function testFile(file) {
    const report = join(folder, `${files.indexOf(file)}.xml`);
    const { exit, output } = await bunTest(file, report);
    const counts = countTests(existsSync(report) ? readFileSync(report, "utf8") : "");
    // A file that does not load, or a process that dies, has no failed test in its report.
    if (exit !== 0 && counts.failed === 0) counts.failed = 1;
    total.passed += counts.passed;
    total.failed += counts.failed;
    total.skipped += counts.skipped;
    if (counts.failed > 0) process.stdout.write(`\nFAILED ${file} (exit code ${exit})\n${bounded(output)}\n`);
    else
      process.stdout.write(`ok ${file}: ${counts.passed}${counts.skipped > 0 ? `, ${counts.skipped} skipped` : ""}\n`);
  }
}

function testFiles() {
  return ["src", "test", "scripts", "bench"]
    .flatMap((top) =>
      readdirSync(join(root, top), { recursive: true })
        .filter((path) => /\.test\.(ts|mjs)$/.test(path))
        .map((path) => join(top, path)),
    )
    .sort();
}

function bunTest(file, report) {
  return new Promise((resolve, reject) => {
    const child = spawn(
      bunPath(),
      [
        "test",
        `./${file}`,
        "--only-failures",
        `--timeout=${timeoutMs}`,
        "--reporter=junit",
        `--reporter-outfile=${report}`,
      ],
      { cwd: root, stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, NO_COLOR: "1" } },
    );
    const output = [];
    child.stdout.on("data", (bytes) => output.push(bytes));
    child.stderr.on("data", (bytes) => output.push(bytes));
    child.on("error", reject);
    child.on("close", (code) => resolve({ exit: code ?? 1, output: Buffer.concat(output).toString() }));
  });
}

function bounded(output) {
  const lines = output.trimEnd().split("\n");
  if (lines.length <= maxLinesPerFile) return lines.join("\n");
  const half = maxLinesPerFile / 2;
  return [...lines.slice(0, half), `… ${lines.length - maxLinesPerFile} lines left out …`, ...lines.slice(-half)].join(
    "\n",
  );
}
