import { existsSync, mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Linux } from "../linux/Linux.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { createBlobs } from "./blobs.ts";
import { createCacheMounts } from "./cacheMounts.ts";
import { createCacheRecords } from "./cacheRecords.ts";
import { createContainers } from "./containers.ts";
import { openDatabase } from "./database.ts";
import { letGo } from "./disposal.ts";
import { createImages } from "./images.ts";
import { createLayers } from "./layers.ts";
import { createLease } from "./leases.ts";
import { createLocks } from "./locks.ts";
import { createDoubt } from "./doubt.ts";
import { createManifests } from "./manifests.ts";
import { withMarks } from "./marks.ts";
import { createNetworks } from "./networks.ts";
import { openSnapshotter } from "./openSnapshotter.ts";
import { createSettings } from "./settings.ts";
import type { Snapshotter, StorageWish } from "./Snapshotter.ts";
import type { Store } from "./Store.ts";
import { spread } from "./spread.ts";
import { sweep } from "./sweep.ts";

/**
 * Opens the store at `root`, making it where it is not there. Any number of processes may have it open.
 * @throws SlipwayError `STORE_UNUSABLE`, `STORE_TOO_NEW`
 */
export function openStore({ root: given, linux: kernel, storage = "auto" }: OpenStoreOptions): Store {
  const root = resolve(given);
  if (!existsSync(join(root, "slipway.db"))) makeDirectories(kernel, root);
  const records = openDatabase(kernel, root);
  const settings = createSettings(records);
  const linux = withMarks(kernel, settings, root);
  const end = (id: string) => letGo(records, { blobs, layers }, id);
  const lease = (purpose: string) => createLease({ linux, root, records, letGo: end }, purpose);
  const doubt = createDoubt(settings);
  const blobs = createBlobs(linux, root, doubt);
  const layers = createLayers({ linux, root, records, blobs, doubt, lease });
  const locks = createLocks(linux, root);
  const cacheMounts = createCacheMounts({ linux, root, records, lease });
  const store: Store = {
    root,
    linux,
    storage,
    get snapshotter() {
      snapshotter ??= openSnapshotter(store, storage);
      return snapshotter;
    },
    blobs,
    layers,
    images: createImages({ records, blobs, layers, lease }),
    containers: createContainers({ linux, root, records, lease }),
    networks: createNetworks(records),
    manifests: createManifests({ records, lease }),
    cache: createCacheRecords(records),
    cacheMounts,
    settings,
    doubt,
    transaction: records.transaction,
    lease,
    locked: locks.locked,
    lock: locks.lock,
    tryLock: locks.tryLock,
    sweep() {
      locks.sweep();
      sweep({ linux, root, records, blobs, lease, letGo: end });
    },
    async collector() {
      const { createCollector } = await import("./collector.ts");
      return createCollector({ linux, root, records, blobs, layers, cacheMounts, lease, locked: locks.locked });
    },
    checkpoint: records.checkpoint,
    close: records.close,
  };
  let snapshotter: Snapshotter | undefined;
  return store;
}

export interface OpenStoreOptions {
  root: string;
  linux: Linux;
  /** How root file systems are made; `auto` where nothing is said. */
  storage?: StorageWish;
}

/** Where the store is when nothing else says: $SLIPWAY_ROOT, /var/lib/slipway for root, $XDG_DATA_HOME/slipway for others. */
export function defaultRoot(env: Record<string, string | undefined>, uid: number): string {
  if (env.SLIPWAY_ROOT !== undefined && env.SLIPWAY_ROOT !== "") return env.SLIPWAY_ROOT;
  if (uid === 0) return "/var/lib/slipway";
  if (env.XDG_DATA_HOME?.startsWith("/")) return join(env.XDG_DATA_HOME, "slipway");
  if (env.HOME === undefined || env.HOME === "") {
    throw new SlipwayError("STORE_UNUSABLE", "no place for the store is known: $HOME is not set", {
      hint: "Set $SLIPWAY_ROOT to a directory.",
    });
  }
  return join(env.HOME, ".local/share/slipway");
}

/** The database comes last, so that a store which has one has them all. */
function makeDirectories(linux: Linux, root: string): void {
  try {
    for (const part of [
      "",
      "blobs/sha256",
      "layers",
      "l",
      "containers",
      "volumes",
      "caches",
      "tmp",
      "locks",
      "empty/0",
      "empty/1",
    ]) {
      mkdirSync(join(root, part), { recursive: true, mode: 0o700 });
    }
    for (const part of ["containers", "volumes", "caches", "tmp"]) spread(linux, join(root, part));
  } catch (error) {
    throw new SlipwayError("STORE_UNUSABLE", `the store ${root} cannot be made: ${(error as Error).message}`, {
      hint: "Name another place by $SLIPWAY_ROOT.",
      cause: error,
    });
  }
}
