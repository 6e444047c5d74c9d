import { AT_FDCWD, O_DIRECTORY, S_IFMT, S_IFREG } from "../../linux/constants.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import type { SolveContext } from "../SolveContext.ts";
import { createFileTree } from "../tree/FileTree.ts";
import { type CopyAttributes, createNodeCopier } from "./copyNode.ts";
import type { CopySource } from "./findSources.ts";
import type { LayerWriter } from "./layerWriter.ts";
import { timeOfWork } from "./writeCopies.ts";

/**
 * ADD of a local archive: unpacks it into the destination, as `tar -x` there. Returns false for a file that is no archive (known by its
 * first bytes, not by its name): the caller copies it.
 */
export async function copyArchive(
  context: SolveContext,
  source: CopySource,
  writer: LayerWriter,
  dest: string,
  attributes: CopyAttributes,
): Promise<boolean> {
  const { linux, lease } = context;
  if ((source.node.stat.mode & S_IFMT) !== S_IFREG) return false;
  const { archiveFormat, extractArchive } = await import("../../layer/archive.ts");
  const fd = source.tree.open(source.node);
  try {
    if ((await archiveFormat(linux, fd)) === undefined) return false;
    const directory = lease.directory();
    await extractArchive({ linux, fd, directory });
    const rootFd = linux.openat(AT_FDCWD, directory, O_DIRECTORY);
    const tree = createFileTree(linux, rootFd);
    try {
      const owner = attributes.owner ?? { uid: 0, gid: 0 };
      const to = writer.mkdirAll(dest, owner, timeOfWork(context));
      createNodeCopier(linux, tree, writer, attributes).copy(tree.root, to, true);
    } finally {
      tree.close();
    }
    return true;
  } catch (error) {
    if (error instanceof SlipwayError) throw error;
    throw new SlipwayError(
      "BAD_ARCHIVE",
      `cannot unpack ${source.path}: ${error instanceof Error ? error.message : error}`,
      {
        cause: error,
      },
    );
  } finally {
    linux.close(fd);
  }
}
