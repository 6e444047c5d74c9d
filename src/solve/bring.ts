import type { Digest } from "../oci/digest.ts";
import type { SolveContext } from "./SolveContext.ts";

/** Before the files of layers are looked at: what a base image or an imported cache has of them, and the store does not have yet, comes. */
export async function bring(context: SolveContext, layers: readonly Digest[], why: string): Promise<void> {
  await context.fetchLayers(layers, why);
  await context.imported?.bring(layers);
}
