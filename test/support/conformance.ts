import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Conformance data by name, from beside the repository; undefined where that folder is not there. */
// biome-ignore lint/suspicious/noExplicitAny: each file has its own shape
export function conformance(name: string): any | undefined {
  const path = join(import.meta.dir, "../../../shared/conformance", `${name}.json`);
  return existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : undefined;
}
