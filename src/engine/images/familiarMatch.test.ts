import { expect, test } from "bun:test";
import { conformance } from "../../../test/support/conformance.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { familiarMatch } from "./familiarMatch.ts";

const data = conformance("references");

test.skipIf(data === undefined)(
  "a reference filter takes short names as Docker's does (skipped where ../shared/conformance is absent)",
  () => {
    for (const row of data.familiarMatch) {
      const match = () => familiarMatch(row.pattern, row.reference);
      if (row.error) expect(match, row.id).toThrow(SlipwayError);
      else expect([row.id, match()]).toEqual([row.id, row.expected]);
    }
  },
);
