import { mkdirSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Digest } from "../oci/digest.ts";
import { openStore } from "./openStore.ts";
import type { Lease, Store } from "./Store.ts";

/** A store of its own that can look at layers of another. */
export interface ScratchStore {
  store: Store;
  /** The layers, which the other store has and holds as long as this one is open, count as this one's. */
  borrow(diffIDs: readonly Digest[]): void;
  close(): void;
}

/**
 * An empty store in a directory of the lease: what is made in it leaves `outer` as it is, and goes with the lease in whatever way that ends.
 * Layers are borrowed by links, without a copy.
 */
export function openScratchStore(outer: Store, lease: Lease): ScratchStore {
  const store = openStore({ root: join(lease.directory(), "store"), linux: outer.linux, storage: outer.storage });
  const own = store.lease("scratch");
  return {
    store,
    borrow(diffIDs) {
      for (const diffID of diffIDs) {
        lease.protect("layer", diffID);
        const { path, created: _, ...layer } = outer.layers.require(diffID);
        if (store.layers.get(diffID) !== undefined) continue;
        const link = join(own.directory(), "fs");
        symlinkSync(path, link);
        const adopted = store.layers.adopt(link, layer, own);
        if (layer.impliedDirs.length === 0) continue;
        // Fix-ups (see impliedDirs.ts) are the same in both stores, and are found by way of the link.
        const fixups = join(dirname(path), "fixups");
        mkdirSync(fixups, { recursive: true });
        symlinkSync(fixups, join(dirname(adopted.path), "fixups"));
      }
    },
    close() {
      own.release();
      store.close();
    },
  };
}
