import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import type { Linux } from "../../linux/Linux.ts";
import { userId } from "../../linux/userNamespace.ts";
import { networkDirectory } from "./hostState.ts";

/**
 * Why this host cannot have bridge networks; undefined where it can. Tried once a boot; what it takes is
 * loaded only then.
 */
export async function bridgeRefusal(linux: Linux): Promise<string | undefined> {
  if (userId() !== 0) return "only root may change the host's network";
  const path = `${networkDirectory()}/probe`;
  const key = `1 ${readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()} ${process.getuid?.()}`; // 1: form of the answer
  try {
    const [known, ...answer] = readFileSync(path, "utf8").split("\n");
    if (known === key) return answer.join("\n") || undefined;
  } catch {
    // not tried yet
  }
  const { tryBridge } = await import("./tryBridge.ts");
  const refusal = tryBridge(linux);
  try {
    mkdirSync(networkDirectory(), { recursive: true, mode: 0o700 });
    writeFileSync(path, `${key}\n${refusal ?? ""}`);
  } catch {
    // whoever may not write there tries again
  }
  return refusal;
}
