import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import type { Linux } from "../../linux/Linux.ts";
import { bridgeNamespacePath, hasOwnBridgeNamespace } from "./bridgeNamespace.ts";
import { networkDirectory } from "./hostState.ts";
import { readBootId } from "../../store/leases.ts";

/**
 * Why this host cannot have bridge networks; undefined where it can. Tried once a boot; what it takes is
 * loaded only then.
 */
export async function bridgeRefusal(linux: Linux): Promise<string | undefined> {
  const path = `${networkDirectory()}/probe`;
  const key = `2 ${readBootId()} ${process.getuid?.()}`; // 1: form of the answer
  try {
    const [known, ...answer] = readFileSync(path, "utf8").split("\n");
    if (known === key) return answer.join("\n") || undefined;
  } catch {
    // not tried yet
  }
  const { tryBridge } = await import("./tryBridge.ts");
  const refusal = tryBridge(linux) ?? (await wayRefusal());
  if (bridgeNamespacePath() !== undefined && refusal !== undefined) return refusal; // mended by an installation, not by a boot
  try {
    mkdirSync(networkDirectory(), { recursive: true, mode: 0o700 });
    writeFileSync(path, `${key}\n${refusal ?? ""}`);
  } catch {
    // whoever may not write there tries again
  }
  return refusal;
}

/** Of a plain user: whether bridges have a namespace to be in, and what would lead out of it. */
async function wayRefusal(): Promise<string | undefined> {
  if (bridgeNamespacePath() === undefined) return undefined;
  if (!hasOwnBridgeNamespace()) return "the user's namespace has no network of its own: the host allows none";
  const { wayOutRefusal } = await import("./wayOut.ts");
  const refusal = wayOutRefusal();
  return refusal === undefined ? undefined : `${refusal.reason}: ${refusal.remedy}`;
}
