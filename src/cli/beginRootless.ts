import { selfCommand } from "../runtime/selfCommand.ts";
import { enterKnown, enterNamespace } from "../runtime/rootless/enterNamespace.ts";
import { readNamespace } from "../runtime/rootless/namespaceRecord.ts";
import { type Terminal, runCli } from "./runCli.ts";

/** What these do needs no ids but the caller's own, and no mounts. */
const OUTSIDE = new Set(["help", "version", "login", "logout", "completion", undefined]);
/** What stands before the command and has a word of its own. */
const VALUED = new Set(["--root", "--runtime", "--storage", "--isolation"]);
/** Says what is wrong instead of failing by it. */
const ANYWAY = new Set(["info"]);
/** A build with nothing to do has done it by then; one that goes on begins anew, and it is no great loss. */
const ATTEMPT_MS = 250;

/**
 * Runs a plain user's command: as root of the user's namespace where it needs to be, otherwise here. A second start of the program is most of
 * what a short command costs, so a build is first tried where we are: one that finds everything in the cache ends well without ids or mounts.
 * At the first call that needs them, at any failure, and when it takes long, it begins anew inside, and nothing of it was seen.
 */
export async function beginRootless(words: readonly string[], terminal: Terminal): Promise<number> {
  const command = words.find((word, i) => !word.startsWith("-") && !VALUED.has(words[i - 1] ?? ""));
  if (OUTSIDE.has(command) || words.includes("--help") || words[0] === "--version" || words[0] === "-v")
    return runCli(words, terminal);
  const self = selfCommand([...words]);
  if (isAttempted(words) && readNamespace() !== undefined) {
    const shown: (() => void)[] = [];
    const beginAnew = (): never => {
      throw enterKnown(self);
    };
    const attempt: Terminal = {
      out: (text) => void shown.push(() => terminal.out(text)),
      err: (text) => void shown.push(() => terminal.err(text)),
      beginAnew,
    };
    const limit = setTimeout(() => enterKnown(self), ATTEMPT_MS); // where that fails, the attempt goes on
    const exitCode = await runCli(words, attempt);
    clearTimeout(limit);
    if (exitCode === 0 || exitCode >= 128) {
      for (const each of shown) each();
      if (attempt.exit !== undefined) terminal.exit = attempt.exit;
      return exitCode;
    }
  }
  const reason = await enterNamespace(self);
  if (command !== undefined && ANYWAY.has(command)) return runCli(words, terminal);
  const { errorText } = await import("./errorText.ts");
  terminal.err(errorText(reason, { debug: words.includes("--debug") || words.includes("-D") }));
  return 125;
}

/** A build that reads no standard input, which cannot be read twice, and gives nothing but an image in the store. */
function isAttempted(words: readonly string[]): boolean {
  return (
    words[0] === "build" &&
    !words.some((word) => word === "-" || /^(-f-|-[oD]|--(output|push|cache-|debug|file=-$))/.test(word))
  );
}
