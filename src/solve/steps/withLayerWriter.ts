import { AT_FDCWD, O_DIRECTORY } from "../../linux/constants.ts";
import type { Digest } from "../../oci/digest.ts";
import type { SolveContext } from "../SolveContext.ts";
import { createLayerWriter, type LayerWriter } from "./layerWriter.ts";

/**
 * Runs `work` with a writer of a new layer on `base` and a descriptor of what lies below (undefined: nothing). With `link` the layer must not
 * depend on that, so the writer does not see it. `why` it has to be here, for people. Returns the directory that becomes the layer; all descriptors are closed.
 */
export async function withLayerWriter(
  context: SolveContext,
  base: readonly Digest[],
  options: { link: boolean; why: string },
  work: (writer: LayerWriter, lowerFd: number | undefined) => void | Promise<void>,
): Promise<string> {
  const { linux, lease, store, snapshotter } = context;
  await context.fetchLayers(base, options.why);
  const upper = lease.directory();
  const upperFd = linux.openat(AT_FDCWD, upper, O_DIRECTORY);
  linux.fchmod(upperFd, 0o755);
  const records = base.map((diffID) => store.layers.require(diffID));
  const lower = records.length === 0 ? undefined : snapshotter.view(records);
  const writer = createLayerWriter(linux, upperFd, options.link ? undefined : lower?.fd);
  try {
    await work(writer, lower?.fd);
  } finally {
    writer.finish();
    linux.close(upperFd);
    lower?.close();
  }
  return upper;
}
