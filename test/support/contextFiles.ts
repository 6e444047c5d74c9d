import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Slipway } from "./withSlipway.ts";

/** Files of the test's build context by path, `text` or [text, mode]; a path that ends with `/` is a directory. */
export function contextFiles(slipway: Slipway, files: Record<string, string | [text: string, mode: number]>): void {
  for (const [path, what] of Object.entries(files)) {
    const at = join(slipway.directory, path);
    const [text, mode] = typeof what === "string" ? [what, path.endsWith("/") ? 0o755 : 0o644] : what;
    mkdirSync(path.endsWith("/") ? at : dirname(at), { recursive: true });
    if (!path.endsWith("/")) writeFileSync(at, text);
    chmodSync(at, mode);
  }
}
