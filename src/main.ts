import { runCli } from "./cli/runCli.ts";
import { createOutput } from "./cli/output.ts";

const output = createOutput();
process.umask(0o022);
process.exitCode = await runCli(process.argv.slice(2), output);
process.exit();
