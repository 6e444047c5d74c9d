import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./paths.mjs";

/** True when node_modules holds what package-lock.json says: all that is not optional, and nothing in another version. */
export function nodeModulesAreFresh(folder = root) {
  const wanted = packagesOf(join(folder, "package-lock.json"));
  const installed = packagesOf(join(folder, "node_modules", ".package-lock.json"));
  if (wanted === undefined || installed === undefined) return false;
  const missing = Object.entries(wanted).some(
    ([path, entry]) => path !== "" && !entry.optional && !(path in installed),
  );
  const other = Object.entries(installed).some(([path, entry]) => wanted[path]?.version !== entry.version);
  return !missing && !other;
}

function packagesOf(path) {
  try {
    return JSON.parse(readFileSync(path, "utf8")).packages;
  } catch {
    // Not there, or cut short by an installation that was killed: npm ci makes it anew.
    return undefined;
  }
}
