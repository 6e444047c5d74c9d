import { join } from "node:path";
import { archiveFormat, extractArchive } from "../../../layer/archive.ts";
import { AT_FDCWD, O_CREAT, O_DIRECTORY, O_EXCL, O_RDONLY, O_RDWR } from "../../../linux/constants.ts";
import type { GitStep, HttpStep } from "../../../plan/graph.ts";
import type { FetchContext } from "../../../solve/SolveContext.ts";
import { git } from "../../../solve/steps/git.ts";
import { http } from "../../../solve/steps/http.ts";
import { createFileTree, type FileTree, type TreeNode } from "../../../solve/tree/FileTree.ts";
import type { RemoteSource } from "./contextSource.ts";

export interface RemoteContext {
  tree: FileTree;
  /** The name under which the tree holds the Dockerfile, where what was fetched was one and no archive. */
  dockerfile?: string;
  /** When it was made, in seconds, where that can be known: the commit's time, Last-Modified, else an archive's newest entry's. */
  made?: () => number | undefined;
}

/** The name that BuildKit gives a file which is a whole context. */
const WHOLE = "context";

/**
 * Brings a build context that is no directory here: a git repository, a URL (a tar, or a Dockerfile by itself), the same on standard
 * input. Ignore files do not count in these (BuildKit). The tree lives in the lease.
 * @throws SlipwayError those of the fetch steps, `CORRUPT_ARCHIVE`
 */
export async function fetchContext(
  context: FetchContext,
  source: RemoteSource,
  options: { id: string; name?: string; keepGitDir?: boolean; stdin?: ReadableStream<Uint8Array> },
): Promise<RemoteContext> {
  const base = { id: options.id, stage: "", ignoreCache: false };
  if (source.type === "git") {
    const { ref } = source;
    const step: GitStep = {
      ...base,
      kind: "git",
      name: options.name ?? `[internal] load git source ${source.text}`,
      remote: ref.indistinguishableFromLocal ? `https://${ref.remote}` : ref.remote,
      ...(ref.ref === "" ? {} : { ref: ref.ref }),
      ...(ref.subDir === "" ? {} : { subdir: ref.subDir }),
      keepGitDir: ref.keepGitDir ?? options.keepGitDir ?? false,
      submodules: ref.submodules ?? true,
      ...(ref.checksum === "" ? {} : { checksum: ref.checksum }),
    };
    const { tree, made } = await git(step, context);
    return { tree, made: () => made };
  }
  if (source.type === "url") {
    const name = options.name ?? "[internal] load remote build context";
    const step: HttpStep = { ...base, kind: "http", name, url: source.url, fileName: WHOLE };
    const { tree, made } = await http(step, context);
    const said = { made: () => made };
    // As a named context, a URL is that one file (BuildKit).
    if (options.name !== undefined) return { tree, ...said };
    const file = tree.lookup(WHOLE, false);
    if (file === undefined) throw new Error("a URL gives one file");
    const opened = await ofFile(context, tree.open(file), tree);
    return made === undefined ? opened : { ...opened, ...said };
  }
  return spooled(context, options.stdin ?? new Blob([]).stream());
}

async function spooled(context: FetchContext, stream: ReadableStream<Uint8Array>): Promise<RemoteContext> {
  const { linux, lease } = context;
  const directory = lease.directory();
  const fd = linux.openat(AT_FDCWD, join(directory, WHOLE), O_RDWR | O_CREAT | O_EXCL, 0o600);
  for await (const chunk of stream) {
    context.signal.throwIfAborted();
    linux.write(fd, chunk);
  }
  const tree = createFileTree(linux, linux.openat(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY), { rootOwned: true });
  return ofFile(context, fd, tree);
}

/** An archive is unpacked; anything else is a Dockerfile. Closes `fd`, and the tree where the archive takes its place. */
async function ofFile({ linux, lease }: FetchContext, fd: number, tree: FileTree): Promise<RemoteContext> {
  try {
    if ((await archiveFormat(linux, fd)) === undefined) return { tree, dockerfile: WHOLE };
    const directory = lease.directory();
    linux.fchmodat(AT_FDCWD, directory, 0o755);
    const { impliedDirs } = await extractArchive({ linux, fd, directory });
    tree.close();
    const root = linux.openat(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY);
    const unpacked = createFileTree(linux, root, { rootOwned: true });
    return { tree: unpacked, made: () => newest(unpacked, new Set(impliedDirs)) };
  } finally {
    linux.close(fd);
  }
}

/** Seconds; of all that the archive lists. */
function newest(tree: FileTree, implied: ReadonlySet<string>): number | undefined {
  let time: number | undefined;
  const visit = (node: TreeNode): void => {
    if (!implied.has(node.path)) time = Math.max(time ?? node.stat.mtimeSec, node.stat.mtimeSec);
    for (const child of tree.children(node)) visit(child);
  };
  for (const child of tree.children(tree.root)) visit(child);
  return time;
}
