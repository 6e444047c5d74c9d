import { createOutput } from "./cli/output.ts";
import { runCli } from "./cli/runCli.ts";
import { CHROOT_PROCESS } from "./runtime/chroot/ChrootProcess.ts";

const output = createOutput();
process.umask(0o022);
const words = process.argv.slice(2);
if (words[0] === CHROOT_PROCESS) (await import("./runtime/chroot/becomeStep.ts")).becomeStep();
const exitCode =
  process.getuid?.() === 0
    ? await runCli(words, output)
    : await (await import("./cli/beginRootless.ts")).beginRootless(words, output);
// All is written by now. A short end is part of every number: winding up the engine and SQLite's last connection takes as long as many a command.
(output.exit ?? process.exit)(exitCode);
