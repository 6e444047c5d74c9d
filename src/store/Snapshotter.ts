import type { LayerRecord } from "./Store.ts";

/**
 * How root file systems are made of layers. `overlay`: kernel overlayfs. `fuse`: fuse-overlayfs. `copy`: plain copies, for which nothing has to be
 * mounted.
 */
export type StorageName = "overlay" | "fuse" | "copy";
/** `auto`: the best that works here. */
export type StorageWish = StorageName | "auto";

/**
 * Puts layers together to one root file system. Every implementation passes `snapshotterSuite`.
 * Layers are given lowest first.
 */
export interface Snapshotter {
  readonly name: StorageName;
  /**
   * A writable file system over `layers`, its writes under `directory` (on the store's file system; what is needed is made there, or taken up
   * again as it is). Nothing is mounted yet. `volatile`: what is written need not outlive a crash of
   * the machine, and the end of the mount waits for no disk (for build steps; such a directory is prepared once and not again).
   */
  prepare(layers: LayerRecord[], directory: string, options?: { volatile?: boolean }): Snapshot;
  /** What the layers show together, for reading alone. Works with no layers at all, too. */
  view(layers: LayerRecord[]): View;
  /**
   * What has been written in a directory that was prepared over `layers`, whether it is being written in or not, in a layer's form and to be looked
   * at: files may have their size and no bytes. Undefined where none was prepared.
   */
  written(layers: LayerRecord[], directory: string): Written | undefined;
  /**
   * Copies the same, as it is then, with all bytes, into the empty directory `target`: what `Snapshot.layer` would give, if `amend` had been done to
   * the root file system before: it gets a descriptor of what is written. False where none was prepared.
   */
  copyWritten(layers: LayerRecord[], directory: string, target: string, amend?: (written: number) => void): boolean;
  /** The root file system that was prepared in the directory, of one moment as far as it can be: for reading alone. Works where none was prepared, too. */
  moment(layers: LayerRecord[], directory: string): View;
  /**
   * Until the function that it gives is called, root file systems may be kept when they are not needed any more, so that the next are quicker made: for who
   * makes many.
   */
  reuse(): () => void;
}

/** Closed by whoever has it, once. */
export interface View {
  /**
   * Its root (O_PATH). Where this process may mount, a detached mount, visible to all threads as /proc/self/fd/N, that `linux.moveMount` takes; where
   * it may not, a directory.
   */
  readonly fd: number;
  /** Where it lies, of one that is a plain directory. Who writes there breaks it for others. */
  readonly path?: string;
  close(): void;
}

export interface Written {
  readonly path: string;
  close(): void;
}

export interface Snapshot {
  /** Where the root file system lies, of one that is a plain directory. */
  readonly path?: string;
  /**
   * Its root (O_PATH), to be closed by the caller: a detached mount (visible to all threads as /proc/self/fd/N) that `linux.moveMount` takes, or a
   * directory where this process may not mount.
   */
  mount(): number;
  /**
   * The directory of what was written: what becomes the next layer, in overlayfs's own form. Nothing is in it that is as it was below, and nothing
   * says how it came about: each implementation gives the same for the same files (BuildKit's rule for what is in a layer). Asked once, when nothing
   * is mounted and nobody writes any more; the file system is no more after that.
   */
  layer(): string;
}
