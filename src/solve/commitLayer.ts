import { describeLayer } from "../layer/packLayer.ts";
import { sameContent } from "../layer/sameContent.ts";
import type { Digest } from "../oci/digest.ts";
import type { SolveContext } from "./SolveContext.ts";

export interface CommittedLayer {
  diffID: Digest;
  created: number;
}

/** More layers of one size than this are not compared: they are many tiny ones, cheap to have twice. */
const MAX_TWINS = 16;

/**
 * Turns the directory `upper` (of the build's lease) into a layer of the store. Where a layer of the same content, times aside, is
 * there already, that one is the result: everything that was built on it stays valid.
 */
export function commitLayer(context: SolveContext, upper: string): CommittedLayer {
  const { store, lease, linux } = context;
  const described = describeLayer(linux, upper);
  for (const twin of store.layers.ofTarSize(described.tarSize).slice(0, MAX_TWINS)) {
    lease.protect("layer", twin.diffID);
    if (store.layers.get(twin.diffID) === undefined) continue; // taken by a gc before the lease could hold it
    if (twin.diffID === described.diffID || sameContent(linux, upper, twin.path)) {
      return { diffID: twin.diffID, created: twin.created };
    }
  }
  const layer = store.layers.adopt(upper, described, lease);
  return { diffID: layer.diffID, created: layer.created };
}
