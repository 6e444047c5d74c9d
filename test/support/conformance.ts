import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Conformance data by name, from beside the repository. Undefined where that folder is not there, which is said on standard error. */
// biome-ignore lint/suspicious/noExplicitAny: each file has its own shape
export function conformance(name: string): any | undefined {
  const path = join(import.meta.dir, "../../../shared/conformance", `${name}.json`);
  if (existsSync(path)) return JSON.parse(readFileSync(path, "utf8"));
  console.error(`skipped: the tables of ../shared/conformance/${name}.json, which is not there`);
  return undefined;
}
