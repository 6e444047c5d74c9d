import { SlipwayError, type SourceRange } from "../oci/SlipwayError.ts";

/** An error in the text of a Dockerfile, with the lines that it is about. */
export function syntaxError(message: string, range: SourceRange, hint?: string): SlipwayError {
  return new SlipwayError("DOCKERFILE_SYNTAX", message, { range, ...(hint === undefined ? {} : { hint }) });
}
