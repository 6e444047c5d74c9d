import { posix } from "node:path";
import { parseChmod } from "../dockerfile/chmod.ts";
import type { InstructionOf } from "../dockerfile/instruction.ts";
import { isDigest } from "../oci/digest.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { expandHeredoc, expandWord } from "./expand.ts";
import { type GitRef, parseGitRef } from "../dockerfile/gitRef.ts";
import type { CopyItem, CopyStep } from "./graph.ts";
import { record } from "./history.ts";
import { addStep, type PlanContext, stepBase } from "./PlanContext.ts";
import { hasWildcard, resolveKeepingSlash, treePath } from "./paths.ts";
import type { Command, StageState } from "./StageState.ts";
import { nextStepName } from "./stepName.ts";
import { cacheTtlOf } from "./duration.ts";

type CopyInstruction = InstructionOf<"copy" | "add">;

/**
 * COPY and ADD: one step for the files, and one for each source that is fetched.
 * @throws SlipwayError `INVALID_INSTRUCTION`, `INVALID_GIT_URL`, `INVALID_CHMOD`
 */
export function planCopy(
  state: StageState,
  context: PlanContext,
  command: Command,
  instruction: CopyInstruction,
): void {
  const expand = (word: string): string =>
    expandWord(word, state.env, context.dockerfile.directives.escape, instruction.range);
  const chown = expandOptional(instruction.chown, expand);
  const chmod = expandOptional(instruction.chmod, expand);
  const checksum = expandOptional(instruction.checksum, expand);
  const paths = instruction.source.paths.map(expand);
  const heredocs = instruction.source.heredocs.map((heredoc) => ({
    name: heredoc.name,
    content: expandHeredoc(heredoc, state.env),
  }));
  const dest = expand(instruction.dest);
  const exclude = instruction.exclude.map(expand);
  checkChecksum(instruction, paths, checksum);
  if (chmod !== undefined) parseChmod(chmod); // a wrong one fails before anything is built

  const name = nextStepName(state, context, instruction, { onBuild: command.onBuild });
  const ttl = cacheTtlOf(instruction.comments);
  const base = stepBase(state, name, {
    range: instruction.range,
    ...(ttl === undefined ? {} : { cacheTtl: ttl }),
  });
  const { platform: _, ...anywhere } = base;
  const fetched = { ...anywhere, stage: "" };

  const items: CopyItem[] = paths.map((path): CopyItem => {
    const git = gitSource(path);
    if (git !== undefined) {
      refuseForCopy(instruction, "a git ref");
      const from = addStep(context.steps, {
        ...fetched,
        kind: "git",
        ...gitFields(git, instruction.keepGitDir, checksum),
      });
      return { type: "path", from, path: "", wildcard: false, extract: false };
    }
    if (/^https?:\/\//.test(path)) {
      refuseForCopy(instruction, "a URL");
      const fileName = urlFileName(path);
      const from = addStep(context.steps, {
        ...fetched,
        kind: "http",
        url: path,
        fileName,
        ...(checksum !== undefined && isDigest(checksum) ? { checksum } : {}),
      });
      return { type: "path", from, path: fileName, wildcard: false, extract: instruction.unpack ?? false };
    }
    const [source] = command.sources;
    return {
      type: "path",
      from: source === undefined ? context.contextStep("context") : source.step,
      path: instruction.parents ? pivotPath(path) : treePath(path),
      wildcard: hasWildcard(path),
      extract: instruction.unpack ?? instruction.kind === "add",
    };
  });
  for (const heredoc of heredocs) items.push({ type: "inline", ...heredoc });

  const step: Omit<CopyStep, "id"> = {
    ...base,
    kind: "copy",
    base: state.step,
    items,
    dest: resolveKeepingSlash(state.config.WorkingDir || "/", dest),
    ...(chown === undefined ? {} : { chown }),
    ...(chmod === undefined ? {} : { chmod }),
    link: instruction.link,
    parents: instruction.parents,
    exclude,
  };
  state.step = addStep(context.steps, step);

  const words = [
    instruction.kind.toUpperCase(),
    ...(instruction.parents ? ["--parents"] : []),
    ...(chown === undefined ? [] : [`--chown=${chown}`]),
    ...(chmod === undefined ? [] : [`--chmod=${chmod}`]),
    ...paths,
    ...heredocs.map((heredoc) => `<<${heredoc.name}`),
    dest,
  ];
  record(state, `${words.join(" ")} # buildkit`, state.step);
}

function expandOptional(word: string | undefined, expand: (word: string) => string): string | undefined {
  const value = word === undefined ? "" : expand(word);
  return value === "" ? undefined : value;
}

/** `a/./b` keeps its pivot, which says what is kept under the destination. */
function pivotPath(path: string): string {
  const at = path.indexOf("/./");
  if (at < 0) return treePath(path);
  const prefix = treePath(path.slice(0, at));
  const rest = treePath(path.slice(at + 3));
  return prefix === "" ? rest : `${prefix}/./${rest}`;
}

function gitFields(git: GitRef, keepGitDir: boolean | undefined, checksum: string | undefined) {
  if (keepGitDir !== undefined && git.keepGitDir !== undefined && keepGitDir !== git.keepGitDir)
    throw new SlipwayError("INVALID_INSTRUCTION", "inconsistent keep-git-dir configuration");
  if (checksum !== undefined && git.checksum !== "" && checksum !== git.checksum)
    throw new SlipwayError("INVALID_INSTRUCTION", `checksum mismatch "${checksum}" != "${git.checksum}"`);
  const expected = git.checksum === "" ? checksum : git.checksum;
  return {
    remote: git.remote,
    ...(git.ref === "" ? {} : { ref: git.ref }),
    ...(git.subDir === "" ? {} : { subdir: git.subDir }),
    keepGitDir: git.keepGitDir ?? keepGitDir ?? false,
    submodules: git.submodules ?? true,
    ...(expected === undefined ? {} : { checksum: expected }),
  };
}

/** ADD takes no repository that looks like a local path (`github.com/…`): that is a file of the context. */
function gitSource(path: string): GitRef | undefined {
  const git = parseGitRef(path);
  return git?.indistinguishableFromLocal === true ? undefined : git;
}

function urlFileName(url: string): string {
  try {
    const name = posix.basename(decodeURIComponent(new URL(url).pathname));
    return name === "" ? "__unnamed__" : name;
  } catch {
    // Not a URL after all, or one with a broken %-escape: the fetch will say so.
    return "__unnamed__";
  }
}

function refuseForCopy(instruction: CopyInstruction, what: string): void {
  if (instruction.kind === "add") return;
  throw new SlipwayError("INVALID_INSTRUCTION", `source can't be ${what} for COPY`, {
    hint: "ADD fetches remote sources.",
  });
}

function checkChecksum(instruction: CopyInstruction, paths: readonly string[], checksum: string | undefined): void {
  if (checksum === undefined) return;
  const [path = ""] = paths;
  const git = gitSource(path) !== undefined;
  if (instruction.kind === "copy")
    throw new SlipwayError("INVALID_INSTRUCTION", "checksum can't be specified for COPY");
  if (paths.length !== 1)
    throw new SlipwayError("INVALID_INSTRUCTION", "checksum can't be specified for multiple sources");
  if (!git && !/^https?:\/\//.test(path))
    throw new SlipwayError("INVALID_INSTRUCTION", "checksum requires HTTP(S) or Git sources");
  if (!git && !isDigest(checksum))
    throw new SlipwayError("INVALID_INSTRUCTION", `invalid checksum digest format: ${checksum}`);
}
