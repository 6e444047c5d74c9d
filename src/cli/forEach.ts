import type { Call } from "./Command.ts";
import { errorText } from "./errorText.ts";

/** Does the work for each positional argument, as docker does: one that fails is said so, the others go on, and the exit status is 1. */
export async function forEach(call: Call, work: (name: string) => Promise<void>): Promise<number> {
  let failed = false;
  for (const name of call.positionals) {
    try {
      await work(name);
    } catch (error) {
      call.signal.throwIfAborted();
      failed = true;
      call.err(errorText(error, { debug: false }));
    }
  }
  return failed ? 1 : 0;
}
