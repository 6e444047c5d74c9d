import { join } from "node:path";
import { AT_FDCWD, O_DIRECTORY, RESOLVE_IN_ROOT } from "../../linux/constants.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import type { GitStep } from "../../plan/graph.ts";
import type { FetchContext, TreeResult } from "../SolveContext.ts";
import { createFileTree } from "../tree/FileTree.ts";
import { createTreeDigester } from "../tree/treeDigest.ts";

/**
 * ADD of a git repository by the host's git: the files of one commit, without history unless `keepGitDir`. Hooks, templates and
 * prompts of the host are kept out.
 * @throws SlipwayError `GIT_MISSING`, `GIT_FAILED`, `CHECKSUM_MISMATCH`
 */
export async function git(step: GitStep, context: FetchContext): Promise<TreeResult> {
  const { linux, lease, emit } = context;
  emit({ type: "start", step });
  const work = join(lease.directory(), "repository");
  await command(step, context, undefined, ["init", "--quiet", "--template=", work]);
  await command(step, context, work, ["remote", "add", "origin", step.remote]);
  const wanted = step.ref ?? "HEAD";
  // A commit that no branch or tag names needs the server's leave; the whole history is the way back.
  const direct = await tryCommand(step, context, work, ["fetch", "--quiet", "--depth=1", "origin", wanted]);
  if (direct) await command(step, context, work, ["checkout", "--quiet", "--force", "FETCH_HEAD"]);
  else {
    await command(step, context, work, ["fetch", "--quiet", "--tags", "origin", "+refs/heads/*:refs/remotes/origin/*"]);
    await command(step, context, work, ["checkout", "--quiet", "--force", wanted]);
  }
  const head = await command(step, context, work, ["-c", "log.showSignature=false", "log", "-1", "--format=%H %ct"]);
  const [commit = "", made] = head.trim().split(" ");
  if (step.checksum !== undefined && !commit.startsWith(step.checksum)) {
    throw new SlipwayError(
      "CHECKSUM_MISMATCH",
      `${step.remote} came out at ${commit}, not at ${step.checksum} as asked`,
      {
        ...(step.range === undefined ? {} : { range: step.range }),
      },
    );
  }
  if (step.submodules)
    await command(step, context, work, ["submodule", "--quiet", "update", "--init", "--recursive", "--depth=1"]);
  if (!step.keepGitDir) {
    const { rmSync } = await import("node:fs");
    rmSync(join(work, ".git"), { recursive: true, force: true });
  }
  const root = linux.openat(AT_FDCWD, work, O_DIRECTORY);
  const rootFd = step.subdir === undefined ? root : inside(step, context, root, step.subdir);
  const tree = createFileTree(linux, rootFd, { rootOwned: true });
  emit({ type: "done", step, cached: false });
  return { kind: "tree", tree, digester: createTreeDigester(linux, tree), made: Number(made) };
}

function inside(step: GitStep, context: FetchContext, root: number, subdir: string): number {
  try {
    return context.linux.openat2(root, subdir, { flags: O_DIRECTORY, resolve: RESOLVE_IN_ROOT });
  } catch (error) {
    throw new SlipwayError("GIT_FAILED", `${step.remote} has no directory ${JSON.stringify(subdir)}`, { cause: error });
  } finally {
    context.linux.close(root);
  }
}

async function tryCommand(step: GitStep, context: FetchContext, cwd: string, args: string[]): Promise<boolean> {
  try {
    await command(step, context, cwd, args);
    return true;
  } catch (error) {
    if (error instanceof SlipwayError && error.code === "GIT_FAILED") return false;
    throw error;
  }
}

async function command(step: GitStep, context: FetchContext, cwd: string | undefined, args: string[]): Promise<string> {
  let child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  try {
    // Modes 0644 and 0755 whatever the caller's umask is: they count for the cache and in the layer.
    const git = ["git", "-c", "core.hooksPath=/dev/null", "-c", "protocol.file.allow=user", ...args];
    child = Bun.spawn(["sh", "-c", 'umask 022; exec "$@"', "sh", ...git], {
      ...(cwd === undefined ? {} : { cwd }),
      env: { ...process.env, GIT_TERMINAL_PROMPT: "0", GIT_CONFIG_NOSYSTEM: "1", LC_ALL: "C" },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      signal: context.signal,
    });
  } catch (error) {
    throw missingGit(error);
  }
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  context.signal.throwIfAborted();
  if (code === 127) throw missingGit();
  if (err !== "") context.emit({ type: "log", step, stream: 2, data: Buffer.from(err) });
  if (code === 0) return out;
  const last = err.trim().split("\n").pop() ?? "";
  throw new SlipwayError(
    "GIT_FAILED",
    `git ${args[0]} of ${step.remote.replace(/\/\/[^/@]*@/, "//")} failed: ${last}`,
    {
      ...(step.range === undefined ? {} : { range: step.range }),
    },
  );
}

function missingGit(cause?: unknown): SlipwayError {
  return new SlipwayError("GIT_MISSING", "git is needed for a repository as a source, and is not installed", {
    hint: "Install it, on Debian by `apt-get install git`.",
    ...(cause === undefined ? {} : { cause }),
  });
}
