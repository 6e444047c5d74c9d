import { describeLayer } from "../layer/packLayer.ts";
import { sameContent } from "../layer/sameContent.ts";
import { type Digest, sha256 } from "../oci/digest.ts";
import { clampTimes } from "./clampTimes.ts";
import type { SolveContext } from "./SolveContext.ts";

export interface CommittedLayer {
  diffID: Digest;
  created: number;
  /** Made now, with an epoch: to be recorded by {@link clampedKey} together with what keeps the layer. */
  clamped?: true;
}

/** Where a layer's sum without times is remembered, which tells most layers of one size apart without a look at their files. */
const TIMELESS = "timeless 1";

/** More layers of one size than this are not compared: they are many tiny ones, cheap to have twice. */
const MAX_TWINS = 16;

/**
 * Turns the directory `upper` (of the build's lease) into a layer of the store. Where a layer of the same content, times aside, is
 * there already, that one is the result: everything that was built on it stays valid.
 *
 * With an epoch, times are clamped first and count: what comes out depends on the step alone, not on what the store has. No build without one
 * is given a layer that was made so.
 */
export function commitLayer(context: SolveContext, upper: string): CommittedLayer {
  const { store, lease, linux } = context;
  if (context.epoch !== undefined) return commitClamped(context, upper, context.epoch);
  const described = describeLayer(linux, upper);
  const timeless = sha256(described.timeless);
  const twins = store.layers.ofTarSize(described.tarSize).filter(({ diffID }) => {
    const sum = store.layers.form(diffID, TIMELESS);
    return sum === undefined || sum.digest === timeless;
  });
  for (const twin of twins.slice(0, MAX_TWINS)) {
    lease.protect("layer", twin.diffID);
    if (store.layers.get(twin.diffID) === undefined) continue; // taken by a gc before the lease could hold it
    const same =
      twin.diffID === described.diffID ||
      (store.cache.get(clampedKey(twin.diffID)) === undefined && sameContent(linux, upper, twin.path));
    if (same) return { diffID: twin.diffID, created: twin.created };
  }
  const layer = store.transaction(() => {
    const adopted = store.layers.adopt(upper, described, lease);
    store.layers.rememberForm(adopted.diffID, TIMELESS, { digest: timeless, size: 0 });
    return adopted;
  });
  return { diffID: layer.diffID, created: layer.created };
}

function commitClamped({ store, lease, linux }: SolveContext, upper: string, epoch: number): CommittedLayer {
  clampTimes(linux, upper, epoch);
  const described = describeLayer(linux, upper);
  const known = store.layers.get(described.diffID) !== undefined;
  const { diffID, created } = store.layers.adopt(upper, described, lease);
  return { diffID, created, ...(known ? {} : { clamped: true }) };
}

/** The record that says of a layer that its times were clamped. As the others that begin so, it is about layers and no step's. */
export function clampedKey(diffID: Digest): string {
  return `tree:clamped:${diffID}`;
}
