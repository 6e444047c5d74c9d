import { renameSync } from "node:fs";
import { join } from "node:path";
import type { CopiedTree } from "./copy.ts";
import type { LayerRecord, Lease, Store } from "./Store.ts";

/** A tree that is looked at, or waits to be made into another. */
interface PooledTree extends CopiedTree {
  chain: readonly string[];
  path: string;
  lease: Lease;
  /** It is what its layers show. One that a step was done with lacks what the step has made. */
  complete: boolean;
  /** Views of it. A tree without is free. */
  users: number;
}

/** More free trees than this are no gain: a build has as many as it has stages at work, and each takes the room of its image. */
const MAX_FREE = 3;

/**
 * While it is open, trees that are not needed any more are kept, so that the next is made of one by what differs: in a build, a step's tree of that of the step
 * before. Otherwise every tree goes at once.
 */
export interface TreePool {
  isOpen(): boolean;
  /** Opens it; the function it gives closes it and removes what is kept. Once for each that opened it. */
  open(): () => void;
  /** The free tree that has most of the layers, moved to `path`; it is the caller's from then on. */
  take(layers: readonly LayerRecord[], path: string): CopiedTree | undefined;
  /** Takes over the tree at `path`. False where it is not kept. */
  give(layers: readonly LayerRecord[], path: string, tree: CopiedTree): boolean;
  /** A tree of these layers to look at, one that is there or one that `make` makes at a path. */
  share(layers: readonly LayerRecord[], make: (path: string) => CopiedTree): { path: string; release(): void };
}

export function createTreePool(store: Store): TreePool {
  const trees = new Set<PooledTree>();
  let opened = 0;

  function drop(tree: PooledTree): void {
    trees.delete(tree);
    tree.lease.release();
  }

  function keepFew(): void {
    const free = [...trees].filter(({ users }) => users === 0);
    for (const tree of free.slice(0, Math.max(0, free.length - (opened > 0 ? MAX_FREE : 0)))) drop(tree);
  }

  function add(
    layers: readonly LayerRecord[],
    tree: CopiedTree,
    about: Pick<PooledTree, "path" | "lease" | "complete">,
  ): PooledTree {
    const pooled = { ...tree, ...about, chain: layers.map(({ diffID }) => diffID), users: 0 };
    trees.add(pooled);
    return pooled;
  }

  function use(tree: PooledTree): { path: string; release(): void } {
    tree.users++;
    return {
      path: tree.path,
      release() {
        tree.users--;
        if (tree.users > 0) return;
        trees.delete(tree); // to the young end
        trees.add(tree);
        keepFew();
      },
    };
  }

  return {
    isOpen: () => opened > 0,
    open() {
      opened++;
      return () => {
        opened--;
        keepFew();
      };
    },
    take(layers, path) {
      let best: { tree: PooledTree; common: number } | undefined;
      for (const tree of trees) {
        const common = tree.users > 0 ? 0 : commonLayers(tree.chain, layers);
        if (common > (best?.common ?? 0)) best = { tree, common };
      }
      if (best === undefined) return undefined;
      const { tree } = best;
      renameSync(tree.path, path);
      drop(tree);
      return { stack: tree.stack, prepared: tree.prepared };
    },
    give(layers, path, tree) {
      if (opened === 0) return false;
      const lease = store.lease("tree");
      const kept = join(lease.directory(), "tree");
      renameSync(path, kept);
      add(layers, tree, { path: kept, lease, complete: false });
      keepFew();
      return true;
    },
    share(layers, make) {
      for (const tree of trees) if (tree.complete && isSame(tree.chain, layers)) return use(tree);
      const lease = store.lease("tree");
      try {
        const path = join(lease.directory(), "tree");
        return use(add(layers, make(path), { path, lease, complete: true }));
      } catch (error) {
        lease.release();
        throw error;
      }
    },
  };
}

function commonLayers(chain: readonly string[], layers: readonly LayerRecord[]): number {
  let common = 0;
  while (common < chain.length && chain[common] === layers[common]?.diffID) common++;
  return common;
}

function isSame(chain: readonly string[], layers: readonly LayerRecord[]): boolean {
  return chain.length === layers.length && commonLayers(chain, layers) === layers.length;
}
