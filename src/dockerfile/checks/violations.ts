import type { SourceRange } from "../../oci/SlipwayError.ts";
import { type CheckOptions, withComments } from "./checkOptions.ts";
import { type Rule, type RuleName, rules } from "./rules.ts";

export interface Violation {
  rule: RuleName;
  description: string;
  /** "" where the rule has no page. */
  url: string;
  detail: string;
  range: SourceRange;
}

/** Where a violation is found: the comments above may switch rules off. */
export interface Place {
  range: SourceRange;
  comments: readonly string[];
}

/** Notes a violation, unless its rule is off there. */
export type Report = (
  rule: RuleName,
  place: Place,
  parts?: Readonly<Record<string, string>>,
  suggestion?: string,
) => void;

export function createReport(options: CheckOptions, found: Violation[]): Report {
  return (name, place, parts = {}, suggestion) => {
    const rule: Rule = rules[name];
    const { skip, experimental } = withComments(options, place.comments);
    if (rule.experimental ? !holds(experimental, name) : holds(skip, name)) return;
    const text = rule.detail + (suggestion === undefined ? "" : (rule.suggestion ?? ""));
    const values: Record<string, string> = { ...parts, suggestion: suggestion ?? "" };
    const detail = text.replace(/\{(\w+)\}/g, (whole, part: string) => values[part] ?? whole);
    found.push({ rule: name, description: rule.description, url: rule.url, detail, range: place.range });
  };
}

/** By line, then by detail; what was found twice is there once. */
export function sortViolations(violations: readonly Violation[]): Violation[] {
  const unique = new Map(violations.map((each) => [`${each.rule}\0${each.range.start}\0${each.detail}`, each]));
  return [...unique.values()].sort(
    (a, b) => a.range.start - b.range.start || (a.detail < b.detail ? -1 : a.detail > b.detail ? 1 : 0),
  );
}

/** `rule: detail (line N)`, as progress and the end of a build show it. */
export function violationText({ rule, detail, range }: Violation): string {
  return `${rule}: ${detail} (line ${range.start})`;
}

function holds(set: "all" | ReadonlySet<string>, name: string): boolean {
  return set === "all" || set.has(name);
}
