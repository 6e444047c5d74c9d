import { unpackBlob } from "../../layer/unpackBlob.ts";
import { AT_FDCWD } from "../../linux/constants.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import type { Digest } from "../../oci/digest.ts";
import { isSlipwayError } from "../../oci/SlipwayError.ts";
import { createSemaphore } from "../../solve/semaphore.ts";
import type { Lease } from "../../store/Store.ts";
import type { Engine } from "../Engine.ts";
import { fetchBlob, type ImageName, type ImageSource } from "./fetchBlob.ts";

/** Downloads at a time: more do not make a line faster, and a registry may mind. */
const DOWNLOADS = 4;

export interface LayerWork {
  blob: Descriptor;
  diffID: Digest;
}

/**
 * Brings layers, lowest first, into the store, under the lease, several at a time; `stop` is aborted by the first failure. Returns whether anything had
 * to be fetched.
 */
export async function fetchLayers(
  engine: Engine,
  source: ImageSource,
  reference: ImageName,
  { layers, lease, stop }: { layers: readonly LayerWork[]; lease: Lease; stop: AbortController },
): Promise<boolean> {
  const slots = createSemaphore(DOWNLOADS);
  const done = new Map<Digest, Promise<void>>();
  let fetched = false;

  async function one(work: LayerWork, below: readonly LayerWork[]): Promise<void> {
    const { store, emit } = engine;
    const { digest } = work.blob;
    lease.protect("layer", work.diffID);
    lease.protect("blob", digest);
    if (store.layers.get(work.diffID) !== undefined) {
      emit({ type: "pull.layer", digest, status: "exists" });
      store.layers.addBlob(work.diffID, work.blob);
      return;
    }
    emit({ type: "pull.layer", digest, status: "waiting" });
    await slots(() =>
      store.locked(`layer:${work.diffID}`, async () => {
        stop.signal.throwIfAborted();
        // Another process may have brought it meanwhile.
        if (store.layers.get(work.diffID) !== undefined) {
          emit({ type: "pull.layer", digest, status: "exists" });
          store.layers.addBlob(work.diffID, work.blob);
          return;
        }
        if (!fetched) store.layers.settle();
        fetched = true;
        if (!store.blobs.has(digest)) {
          const onProgress = (current: number): void =>
            emit({ type: "pull.layer", digest, status: "downloading", current, total: work.blob.size });
          onProgress(0);
          await fetchBlob(engine, source, reference, work.blob, { lease, onProgress });
        }
        emit({ type: "pull.layer", digest, status: "extracting" });
        await unpack(engine, work, below, done, lease);
        emit({ type: "pull.layer", digest, status: "done" });
      }),
    );
  }

  const all: Promise<void>[] = [];
  for (const [i, work] of layers.entries()) {
    let promise = done.get(work.diffID);
    if (promise === undefined) {
      promise = one(work, layers.slice(0, i));
      done.set(work.diffID, promise);
    }
    all.push(promise);
  }
  for (const promise of all) promise.catch((error) => stop.abort(error));
  const settled = await Promise.allSettled(all);
  const failed = settled.find((each) => each.status === "rejected");
  if (failed !== undefined) throw stop.signal.aborted ? stop.signal.reason : failed.reason;
  return fetched;
}

async function unpack(
  engine: Engine,
  work: LayerWork,
  below: readonly LayerWork[],
  done: Map<Digest, Promise<void>>,
  lease: Lease,
): Promise<void> {
  const { store } = engine;
  const blob = { linux: store.linux, blob: store.blobs.path(work.blob.digest), expectedDiffID: work.diffID };
  let directory = lease.directory();
  let unpacked: Awaited<ReturnType<typeof unpackBlob>>;
  try {
    unpacked = await unpackBlob({ ...blob, directory: rootOf(engine, directory) });
  } catch (error) {
    if (!isSlipwayError(error, "NEEDS_LOWER_LAYERS")) throw error;
    // A hard link into a layer below: that one has to be there first.
    for (const each of below) await done.get(each.diffID);
    directory = lease.directory();
    const lowerPaths = below.map((each) => store.layers.require(each.diffID).path);
    unpacked = await unpackBlob({ ...blob, directory: rootOf(engine, directory), lowerPaths });
  }
  store.transaction(() => {
    store.layers.adopt(directory, unpacked, lease);
    store.layers.addBlob(work.diffID, work.blob);
  });
}

/** A layer's root has the mode that a root has, until its tar says otherwise. */
function rootOf({ store: { linux } }: Engine, directory: string): string {
  linux.fchmodat(AT_FDCWD, directory, 0o755);
  return directory;
}
