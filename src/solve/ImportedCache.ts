import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";

export interface FoundStep {
  diffID: Digest;
  created: number;
  /** The step's, for lists of what the cache holds. */
  name?: string;
}

/** What `--cache-from` knows. Nothing is fetched before it is asked for. */
export interface ImportedCache {
  /** What came of the step with this key. Its layer may be elsewhere still: see `bring`. */
  step(key: string): Promise<FoundStep | undefined>;
  /** That the build takes what `step` has said: once the layer is here and proved, the store's cache has the record as well. */
  take(key: string, found: FoundStep): void;
  tree(key: string): Promise<string | undefined>;
  /**
   * Sees to it that the layers are in the store: each that is not is fetched, and is what its diffID names.
   * @throws LayersMissing where that cannot be
   */
  bring(layers: readonly Digest[]): Promise<void>;
  /** Digest and size of the layer's compressed form, where a cache says that it gives it. */
  blob(diffID: Digest): Promise<Descriptor | undefined>;
  /** Puts what is known of a cache mount of this name into the empty directory; undefined where nothing is, or it is damaged. */
  mount(name: string, directory: string): Promise<{ uid: number; gid: number; mode: number } | undefined>;
  /** Whether to solve again: true for {@link LayersMissing}, whose layers are not offered any more. */
  refuse(error: unknown): boolean;
}

/** Layers that a cache has promised and does not give. */
export class LayersMissing extends Error {
  readonly layers: readonly Digest[];
  constructor(layers: readonly Digest[]) {
    super(`the imported cache does not give ${layers.join(", ")}`);
    this.layers = layers;
  }
}

/** What a build's cache came to: for `--cache-to`. */
export interface CacheCollector {
  step(key: string, found: FoundStep): void;
  tree(key: string, value: string): void;
}
