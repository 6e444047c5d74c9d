import { filepathMatch } from "../../dockerfile/filepathMatch.ts";
import { familiarName, formatReference, normalizeReference } from "../../oci/reference.ts";

/**
 * Whether a shell pattern takes the short form of a name, with or without its tag, as `--filter reference=` asks. `*` stays within a part.
 * @throws SlipwayError `INVALID_PATTERN`
 */
export function familiarMatch(pattern: string, name: string): boolean {
  const reference = normalizeReference(name);
  const { domain, path } = reference;
  return (
    filepathMatch(pattern, familiarName(formatReference(reference))) ||
    filepathMatch(pattern, familiarName(formatReference({ domain, path })))
  );
}
