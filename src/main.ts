import { createOutput } from "./cli/output.ts";
import { runCli } from "./cli/runCli.ts";

const output = createOutput();
process.umask(0o022);
const exitCode = await runCli(process.argv.slice(2), output);
// All is written by now. A short end is part of every number: winding up the engine and SQLite's last connection takes as long as many a command.
(output.exit ?? process.exit)(exitCode);
