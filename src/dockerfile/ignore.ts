import { posix } from "node:path";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { compileIgnorePattern, type IgnorePattern } from "./ignorePattern.ts";
import { trimSpace } from "./space.ts";

/** Which patterns hold for a directory, and so for all below it. Made by the matcher alone. */
export type IgnoreState = Uint8Array;

export interface IgnoreVerdict {
  /** The path is not ignored. */
  keep: boolean;
  /** Something below the path may be kept, whether the path itself is or not. False: the directory can be left out wholly. */
  descend: boolean;
  /** The pattern that decided, by its place in the list that the matcher was made of; -1 when none did. */
  by: number;
  /** For the paths directly below. */
  state: IgnoreState;
}

/**
 * The patterns of an ignore file or of `--exclude`, as moby/patternmatcher has them: the last pattern that matches decides, `!` makes an
 * exception, and what holds for a directory holds below it. Paths are relative, with `/`, and clean.
 */
export interface IgnoreMatcher {
  /**
   * True when the path is ignored, its parents looked up as well. It need not be clean; the root is never ignored. With exceptions this can
   * differ from a walk (as it does in Docker): a walk asks an exception about a directory only if something ignores that directory.
   */
  matches(path: string): boolean;
  /** The state of the root, for paths without a directory. */
  root(): IgnoreState;
  /** The question while walking down a tree, as contexts are filtered: each pattern is asked only about what the parent did not settle. */
  visit(state: IgnoreState, path: string): IgnoreVerdict;
  /** Some pattern is an exception. */
  readonly exceptions: boolean;
  /** Patterns in use; blank ones are passed over. */
  readonly count: number;
}

interface Rule {
  pattern: IgnorePattern;
  exception: boolean;
  /** Place in the caller's list. */
  index: number;
}

/**
 * Blanks around a pattern do not count. A pattern that only shows itself as wrong when it is used throws then.
 * @throws SlipwayError `INVALID_PATTERN`
 */
export function createIgnoreMatcher(patterns: readonly string[]): IgnoreMatcher {
  const rules = patterns.flatMap((text, index) => ruleOf(text, index));
  const exceptions = rules.filter((rule) => rule.exception);

  function visit(parent: IgnoreState, path: string): IgnoreVerdict {
    const state = new Uint8Array(rules.length);
    let ignored = false;
    let by = -1;
    let lastIgnoring = -1;
    for (const [i, { pattern, exception, index }] of rules.entries()) {
      // An exception is of no interest while nothing is ignored, nor the other way round.
      if (parent[i] !== 1 && (exception !== ignored || !pattern.matches(path))) continue;
      state[i] = 1;
      ignored = !exception;
      by = index;
      if (!exception) lastIgnoring = i;
    }
    return { keep: !ignored, descend: !ignored || reopens(lastIgnoring, path), by, state };
  }

  /** An exception behind the last pattern that ignores the directory may bring back something below it. */
  function reopens(lastIgnoring: number, path: string): boolean {
    if (exceptions.length === 0) return false;
    for (let i = lastIgnoring + 1; i < rules.length; i++) {
      const { exception, pattern } = rules[i] as Rule;
      if (exception && pattern.mayMatchBelow(path)) return true;
    }
    return false;
  }

  function matches(path: string): boolean {
    const clean = cleanPath(path);
    if (clean === ".") return false;
    const parents = parentsOf(clean);
    let ignored = false;
    for (const { pattern, exception } of rules) {
      if (exception !== ignored) continue;
      if (pattern.matches(clean) || parents.some((parent) => pattern.matches(parent))) ignored = !exception;
    }
    return ignored;
  }

  return {
    matches,
    root: () => new Uint8Array(rules.length),
    visit,
    exceptions: exceptions.length > 0,
    count: rules.length,
  };
}

/**
 * The patterns of an ignore file: comments (`#` in the first column) and empty lines gone, paths clean and relative.
 * A byte-order mark is passed over.
 */
export function parseIgnoreFile(text: string): string[] {
  const patterns: string[] = [];
  for (const line of text.replace(/^\ufeff/, "").split("\n")) {
    if (line.startsWith("#")) continue;
    const trimmed = trimSpace(line);
    if (trimmed === "") continue;
    const exception = trimmed.startsWith("!");
    let path = exception ? trimSpace(trimmed.slice(1)) : trimmed;
    if (path !== "") path = cleanPath(path);
    if (path.length > 1 && path.startsWith("/")) path = path.slice(1);
    patterns.push(exception ? `!${path}` : path);
  }
  return patterns;
}

/** The 1-based line of each of `parseIgnoreFile`'s patterns. */
export function ignoreLines(text: string): number[] {
  return text
    .replace(/^\ufeff/, "")
    .split("\n")
    .flatMap((line, at) => (line.startsWith("#") || trimSpace(line) === "" ? [] : [at + 1]));
}

function ruleOf(text: string, index: number): Rule[] {
  const trimmed = trimSpace(text);
  if (trimmed === "") return [];
  const clean = cleanPath(trimmed);
  const exception = clean.startsWith("!");
  if (clean === "!") throw new SlipwayError("INVALID_PATTERN", 'illegal exclusion pattern: "!"');
  return [{ pattern: compileIgnorePattern(exception ? clean.slice(1) : clean), exception, index }];
}

/** Go's `filepath.Clean`. */
function cleanPath(path: string): string {
  const normal = posix.normalize(path);
  return normal.length > 1 && normal.endsWith("/") ? normal.slice(0, -1) : normal;
}

function parentsOf(path: string): string[] {
  const parents: string[] = [];
  for (let slash = path.indexOf("/"); slash >= 0; slash = path.indexOf("/", slash + 1))
    parents.push(path.slice(0, slash));
  return parents;
}
