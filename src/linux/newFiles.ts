import { readFileSync } from "node:fs";

/** What a file has when this process makes it, but for what its directory says: a group (set-group-ID), a default ACL. */
export interface NewFiles {
  uid: number;
  gid: number;
  umask: number;
}

/** Undefined where the kernel does not say. */
export function newFiles(status: string = readFileSync("/proc/self/status", "utf8")): NewFiles | undefined {
  // proc_pid_status(5): real, effective, saved and file system IDs.
  const id = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+\\d+\\s+\\d+\\s+\\d+\\s+(\\d+)$`, "m").exec(status)?.[1] ?? Number.NaN);
  const umask = Number.parseInt(/^Umask:\s+([0-7]+)$/m.exec(status)?.[1] ?? "", 8);
  const found = { uid: id("Uid"), gid: id("Gid"), umask };
  return Object.values(found).some(Number.isNaN) ? undefined : found;
}
