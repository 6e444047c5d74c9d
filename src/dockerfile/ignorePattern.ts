import { globMatches } from "./globMatches.ts";
import { badPattern, type GlobToken, globTokens } from "./globTokens.ts";

/** One pattern of an ignore file, as moby/patternmatcher reads it. */
export interface IgnorePattern {
  kind: "exact" | "prefix" | "suffix" | "glob";
  /** Whether the pattern is about this very path; parents are the caller's matter. @throws SlipwayError `INVALID_PATTERN` for a range that runs backwards */
  matches(path: string): boolean;
  /** False when no path below the directory can match. */
  mayMatchBelow(directory: string): boolean;
}

// A backtracking regular expression takes at worst the length of what its wildcards can take to the power of their number: the whole path
// (4096 bytes) for those that cross directories, one name (255 bytes) for the others.
const MAX_REGEXP_CROSSING = 2;
const MAX_REGEXP_WILDCARDS = 3;

/** @throws SlipwayError `INVALID_PATTERN` */
export function compileIgnorePattern(pattern: string): IgnorePattern {
  const tokens = globTokens(pattern, true);
  const mayMatchBelow = belowOf(pattern);
  const [first, second] = tokens;
  // An escape makes a glob of plain text too; what it matches is the same.
  const literal = !pattern.includes("\\");
  if (literal && tokens.length <= 1 && (first === undefined || first.kind === "text"))
    return { kind: "exact", matches: (path) => path === pattern, mayMatchBelow };
  if (literal && tokens.length === 2 && first?.kind === "text" && second?.kind === "rest")
    return { kind: "prefix", matches: (path) => path.startsWith(first.text), mayMatchBelow };
  if (literal && pattern.startsWith("**")) {
    const plainTail = first?.kind === "deep" && tokens.length === 2 && second?.kind === "text";
    if (plainTail || (first?.kind === "rest" && tokens.length === 1)) {
      const suffix = pattern.slice(2);
      const whole = suffix.startsWith("/") ? suffix.slice(1) : undefined;
      return { kind: "suffix", matches: (path) => path.endsWith(suffix) || path === whole, mayMatchBelow };
    }
  }
  return { kind: "glob", matches: globMatcher(tokens), mayMatchBelow };
}

function globMatcher(tokens: GlobToken[]): (path: string) => boolean {
  if (tokens.some((token) => token.kind === "class" && token.ranges.some(([low, high]) => low > high)))
    return () => {
      throw badPattern();
    };
  const crossing = tokens.filter(({ kind }) => kind === "deep" || kind === "rest").length;
  const wildcards = crossing + tokens.filter(({ kind }) => kind === "star").length;
  if (crossing > MAX_REGEXP_CROSSING || wildcards > MAX_REGEXP_WILDCARDS) return (path) => globMatches(tokens, path);
  const regexp = new RegExp(`^${tokens.map(regexpSource).join("")}$`, "u");
  return (path) => regexp.test(path);
}

function regexpSource(token: GlobToken): string {
  switch (token.kind) {
    case "text":
      return token.text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
    case "any":
      return "[^/]";
    case "star":
      return "[^/]*";
    case "deep":
      return "(?:[^]*/)?";
    case "rest":
      return "[^]*";
    case "class": {
      const ranges = token.ranges.map(([low, high]) => `\\u{${low.toString(16)}}-\\u{${high.toString(16)}}`);
      return `[${token.negated ? "^" : ""}${ranges.join("")}]`;
    }
  }
}

function belowOf(pattern: string): (directory: string) => boolean {
  const parts = pattern.split("/");
  // From `**` or a class (which may take a `/`) on, nothing is known of depths.
  const open = parts.findIndex((part) => /\*\*|\[|\\$/.test(part));
  const fixed = open < 0 ? parts : parts.slice(0, open);
  const matchers = fixed.map((part) => globMatcher(globTokens(part, false)));
  return (directory) => {
    const names = directory.split("/");
    if (open < 0 && names.length >= parts.length) return false;
    return names.every((name, depth) => matchers[depth]?.(name) ?? true);
  };
}
