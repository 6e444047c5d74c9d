import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository, whatever the working directory is. */
export const root = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");
export const slipwayPath = join(root, "dist", "slipway");

/**
 * The Bun that `npm ci` brought. Its install script links the binary into place; where npm was told to run no scripts, the platform
 * package still holds it.
 */
export function bunPath() {
  const architecture = process.arch === "arm64" ? "aarch64" : "x64";
  const candidates = [
    "bun/bin/bun.exe",
    `@oven/bun-linux-${architecture}/bin/bun`,
    `@oven/bun-linux-${architecture}-baseline/bin/bun`,
    `@oven/bun-linux-${architecture}-musl/bin/bun`,
  ].map((path) => join(root, "node_modules", path));
  // A placeholder of a few hundred bytes stands where the install script has not run.
  const found = candidates.find((path) => existsSync(path) && statSync(path).size > 1_000_000);
  if (found === undefined)
    throw new Error("node_modules has no Bun for this machine: run `npm ci` again, with install scripts allowed");
  return found;
}
