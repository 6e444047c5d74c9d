import { SlipwayError } from "../../oci/SlipwayError.ts";
import { findDirective } from "../directives.ts";
import type { Dockerfile } from "../instruction.ts";
import { parseStages } from "../parseDockerfile.ts";
import type { CheckInfo } from "./CheckInfo.ts";
import { parseCheckOptions } from "./checkOptions.ts";
import { checkStages } from "./checkStages.ts";
import { checkText, checkWhole } from "./checkText.ts";
import { createReport, sortViolations, type Violation } from "./violations.ts";

export interface CheckReport {
  /** By line, then by detail. */
  violations: Violation[];
  /** What a build would stop at: what cannot be read or expanded, or the violations where `check=error=true` says so. */
  error?: SlipwayError;
}

/**
 * The checks of `docker build --check` over a Dockerfile, parsed or as its text. An error ends the checks; what was found before it is in the report.
 * Build argument BUILDKIT_DOCKERFILE_CHECK takes the place of the `check` directive.
 */
export function checkDockerfile(source: Dockerfile | string, info: CheckInfo, file = "Dockerfile"): CheckReport {
  const text = typeof source === "string" ? source : source.text;
  const found: Violation[] = [];
  try {
    const options = parseCheckOptions(
      info.buildArgs?.get("BUILDKIT_DOCKERFILE_CHECK") ?? findDirective("check", text)?.value ?? "",
    );
    const report = createReport(options, found);
    const { dockerfile, error } =
      typeof source === "string" ? parseStages(source, file) : { dockerfile: source, error: undefined };
    checkText(dockerfile, report);
    if (error !== undefined) throw error;
    checkWhole(dockerfile, report);
    checkStages(dockerfile, info, report);
    const violations = sortViolations(found);
    return options.error && violations.length > 0 ? { violations, error: violationError(violations) } : { violations };
  } catch (error) {
    if (!(error instanceof SlipwayError)) throw error;
    return { violations: sortViolations(found), error };
  }
}

function violationError(violations: readonly Violation[]): SlipwayError {
  const names = [...new Set(violations.map(({ rule }) => rule))].sort();
  const [first] = violations;
  return new SlipwayError("CHECK_FAILED", `lint violation found for rules: ${names.join(", ")}`, {
    hint: "The check directive makes violations errors (error=true).",
    ...(first === undefined ? {} : { range: first.range }),
  });
}
