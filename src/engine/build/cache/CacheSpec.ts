import type { StoreForm } from "../../../store/storeImage.ts";

/** One `--cache-from`. */
export type CacheImport =
  | { type: "local"; src: string; tag: string; digest?: string }
  /** An image with an inline cache, or a cache by itself. */
  | { type: "registry"; ref: string };

/** One `--cache-to`. `mounts`: ids of cache mounts to be carried along, `*` for all that the build has used. */
export type CacheExport = { ignoreError: boolean; mode: CacheMode; form: Pick<StoreForm, "compression" | "force"> } & (
  | { type: "inline" }
  | { type: "local"; dest: string; tag: string; mounts: string[] }
  | { type: "registry"; ref: string; mounts: string[] }
);

/** `min`: layers of the result alone are carried. `max`: those of every step. */
export type CacheMode = "min" | "max";
