import { normalizePlatform, type Platform, parsePlatform } from "../oci/platform.ts";
import { isSlipwayError, SlipwayError } from "../oci/SlipwayError.ts";
import type { InstructionOf } from "./instruction.ts";
import { nearest } from "./nearest.ts";
import type { WordResult } from "./words.ts";

/**
 * The platform that a FROM asks for, normalised. `expanded` is its word with `args` put in.
 * @throws SlipwayError `INVALID_PLATFORM` at the FROM, with the argument that was likely meant
 */
export function readFromPlatform(
  from: InstructionOf<"from">,
  expanded: WordResult,
  args: ReadonlyMap<string, string>,
): Platform {
  const suggestion = [...expanded.unmatched].map((arg) => nearest(arg, args.keys())).find((near) => near !== undefined);
  const meant = suggestion === undefined ? "" : ` (did you mean ${suggestion}?)`;
  const fail = (message: string) => new SlipwayError("INVALID_PLATFORM", message + meant, { range: from.range });
  if (expanded.text === "") throw fail(`empty platform value from expression ${from.platform}`);
  try {
    return normalizePlatform(parsePlatform(expanded.text));
  } catch (error) {
    if (!isSlipwayError(error, "INVALID_PLATFORM")) throw error;
    throw fail(`failed to parse platform ${from.platform}: ${error.message}`);
  }
}
