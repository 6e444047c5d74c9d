import type { FileList } from "./entries.ts";

/** The named parts that a step's result depends on. Kept beside the result, so that a later miss can say which of them changed. */
export type KeyPart = [name: string, value: string];

/** Digest (hex) of the parts: the cache key. */
export function stepKey(parts: readonly KeyPart[]): string {
  return new Bun.SHA256().update(JSON.stringify(parts)).digest("hex");
}

/** What is in the trees that the parts name by their digests (hex), listed when it is asked for. */
export type FileLists = Map<string, () => FileList>;
