import { SlipwayError } from "../oci/SlipwayError.ts";
import type { Terminal } from "../runtime/runStep.ts";
import { isTerminal } from "./isTerminal.ts";

/** The person's terminal, for a shell: it reads standard input and shows on standard error. @throws SlipwayError `NO_TERMINAL` */
export function ownTerminal(what: string): Terminal {
  if (isTerminal(0) && isTerminal(2)) return { input: 0, output: 2 };
  throw new SlipwayError("NO_TERMINAL", `${what} needs a terminal as standard input and standard error`, {
    hint: "Run it from a terminal, with nothing piped into it.",
  });
}
