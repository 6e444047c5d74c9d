/** One `--cache-from`. */
export type CacheImport =
  | { type: "local"; src: string; tag: string; digest?: string }
  /** An image with an inline cache, or a cache by itself. */
  | { type: "registry"; ref: string };

/** One `--cache-to`. */
export type CacheExport = { ignoreError: boolean; mode: CacheMode } & (
  | { type: "inline" }
  | { type: "local"; dest: string; tag: string }
  | { type: "registry"; ref: string }
);

/** `min`: layers of the result alone are carried. `max`: those of every step. */
export type CacheMode = "min" | "max";
