import { createIgnoreMatcher, type IgnoreState } from "../../dockerfile/ignore.ts";
import { compileIgnorePattern } from "../../dockerfile/ignorePattern.ts";
import type { TreeFilter } from "../tree/FileTree.ts";

interface State {
  included: boolean;
  excluded: IgnoreState;
}

/**
 * What of a directory COPY takes, asked while walking down, paths relative to the directory: all that `include` (the pattern of `--parents`)
 * matches or has above it, without what `exclude` names. Both read as an ignore file does. Undefined: everything.
 */
export function createSelection(
  include: string | undefined,
  exclude: readonly string[],
): TreeFilter<State> | undefined {
  if (include === undefined && exclude.length === 0) return undefined;
  const wanted = include === undefined ? undefined : compileIgnorePattern(include);
  const unwanted = createIgnoreMatcher(exclude);
  return {
    root: () => ({ included: wanted === undefined, excluded: unwanted.root() }),
    visit(state, path) {
      const included = state.included || wanted?.matches(path) === true;
      const verdict = unwanted.visit(state.excluded, path);
      return {
        keep: included && verdict.keep,
        descend: verdict.descend && (included || wanted?.mayMatchBelow(path) === true),
        state: { included, excluded: verdict.state },
      };
    },
  };
}
