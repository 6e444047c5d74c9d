import { SlipwayError } from "../oci/SlipwayError.ts";
import { isTerminal } from "./isTerminal.ts";

/** Where an archive goes: the file, or standard output where that is no terminal. Docker's words. */
export function archiveOutput(output: string | undefined, verb: string): string {
  if (output !== undefined && output !== "") return output;
  if (!isTerminal(1)) return "-";
  throw new SlipwayError("USAGE", `cowardly refusing to ${verb} to a terminal`, {
    hint: "Use the -o flag or redirect.",
  });
}

/** Standard input as an archive, which nobody types. */
export function archiveInput(): ReadableStream<Uint8Array> {
  if (isTerminal(0))
    throw new SlipwayError("USAGE", "requested load from stdin, but stdin is empty", {
      hint: "Use the -i flag or redirect.",
    });
  return Bun.stdin.stream();
}
