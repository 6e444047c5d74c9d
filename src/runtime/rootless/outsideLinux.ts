import type { Linux } from "../../linux/Linux.ts";

/** What takes the ids or the mounts of a namespace. */
const TAKES_A_NAMESPACE = [
  "fchownat",
  "mknodat",
  "mount",
  "umount",
  "fsopen",
  "openTree",
  "moveMount",
  "unshare",
  "setns",
] as const satisfies readonly (keyof Linux)[];

/** The kernel for a process that is not in the user's namespace, and may not have to be: the first call that needs to be there begins it anew. */
export function outsideLinux(linux: Linux, beginAnew: () => never): Linux {
  return { ...linux, ...Object.fromEntries(TAKES_A_NAMESPACE.map((name) => [name, beginAnew])) };
}
