import { readFileSync, rmSync } from "node:fs";
import { readOr } from "../readOr.ts";
import { networkDirectory } from "./hostState.ts";

/** Where the pasta of a container or step has its pid. */
export const pastaFolder = (): string => `${networkDirectory()}/pasta`;
export const pastaPidFile = (id: string): string => `${pastaFolder()}/${id}.pid`;

/** Ends it, where it is there. */
export function endPasta(id: string): void {
  try {
    const pid = Number(readFileSync(pastaPidFile(id), "utf8"));
    // The number may be somebody else's by now.
    if (readOr(`/proc/${pid}/cmdline`).includes(pastaPidFile(id))) process.kill(pid, "SIGTERM");
  } catch {
    return; // never started, or ended
  }
  rmSync(pastaPidFile(id), { force: true });
}
