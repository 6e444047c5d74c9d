import { readOr } from "./readOr.ts";

/** The name of this machine, in the UTS namespace that we are in. */
export function hostHostname(): string {
  return readOr("/proc/sys/kernel/hostname").trim();
}
