import { selfCommand } from "../engine/selfCommand.ts";
import { enterNamespace } from "../runtime/rootless/enterNamespace.ts";
import type { Terminal } from "./runCli.ts";

/** What these do needs no ids but the caller's own, and no mounts. */
const OUTSIDE = new Set(["help", "version", "login", "logout", "completion", undefined]);
/** Says what is wrong instead of failing by it. */
const ANYWAY = new Set(["info"]);

/**
 * Begins the command anew as root of the user's namespace, where it needs to be. Comes back where it need not be, or cannot for `info`;
 * otherwise a namespace that cannot be had is the end, and is said here.
 */
export async function beginRootless(words: readonly string[], terminal: Terminal): Promise<void> {
  if (words.includes("--help") || words.includes("--version") || words[0] === "-v") return;
  const command = words.find((word) => !word.startsWith("-"));
  if (OUTSIDE.has(command)) return;
  const reason = await enterNamespace(selfCommand([...words]));
  if (command !== undefined && ANYWAY.has(command)) return;
  const { errorText } = await import("./errorText.ts");
  terminal.err(errorText(reason, { debug: words.includes("--debug") || words.includes("-D") }));
  process.exit(125);
}
