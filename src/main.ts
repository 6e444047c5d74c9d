import { createOutput } from "./cli/output.ts";
import { runCli } from "./cli/runCli.ts";

const output = createOutput();
process.umask(0o022);
const words = process.argv.slice(2);
if (process.getuid?.() !== 0) {
  const { beginRootless } = await import("./cli/beginRootless.ts");
  await beginRootless(words, output);
}
const exitCode = await runCli(words, output);
// All is written by now. A short end is part of every number: winding up the engine and SQLite's last connection takes as long as many a command.
(output.exit ?? process.exit)(exitCode);
