import type { EngineEvent } from "../engine/events.ts";
import { type Call, flag } from "./Command.ts";
import { isTerminal } from "./isTerminal.ts";

/** Lines of blobs on their way, on standard error, unless `--quiet`: standard output is for what the command gives. */
export async function copyProgress(call: Call): Promise<{ event(event: EngineEvent): void; finish(): void }> {
  const quiet = flag(call, "quiet");
  const { createCopyProgress } = await import("./render/copyProgress.ts");
  const { terminalSize } = await import("./render/terminalSize.ts");
  return createCopyProgress({
    write: quiet ? () => {} : call.err,
    ...(!quiet && isTerminal(2, call.linux()) ? { size: terminalSize(2, call.linux()) } : {}),
  });
}
