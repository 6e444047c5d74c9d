import type { LayerRecord } from "./Store.ts";

/**
 * Puts layers together to one root file system. Every implementation passes `snapshotterSuite`.
 * Layers are given lowest first.
 */
export interface Snapshotter {
  readonly name: string;
  /**
   * A writable file system over `layers`, its writes under `directory` (on the store's file system; `upper/` and `work/`
   * are made there, or taken up again as they are). Nothing is mounted yet. `volatile`: what is written need not outlive a crash of
   * the machine, and the end of the mount waits for no disk (for build steps; such a directory is prepared once and not again).
   */
  prepare(layers: LayerRecord[], directory: string, options?: { volatile?: boolean }): Snapshot;
  /** A read-only view; the descriptor is a detached mount (O_PATH), to be closed. Works with no layers at all, too. */
  view(layers: LayerRecord[]): number;
}

export interface Snapshot {
  /** What was written: the tree that becomes the next layer, in overlayfs's own form. */
  readonly upper: string;
  /** A detached mount (O_PATH descriptor, visible to all threads as /proc/self/fd/N), to be closed by the caller or moved into place by `linux.moveMount`. */
  mount(): number;
}
