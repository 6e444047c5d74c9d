import { readlinkSync } from "node:fs";
import { AT_FDCWD, O_RDONLY } from "../../linux/constants.ts";
import type { Linux } from "../../linux/Linux.ts";
import { userId } from "../../linux/userNamespace.ts";
import { findProgram } from "../findProgram.ts";
import { readNamespace } from "../rootless/namespaceRecord.ts";

/**
 * Where the bridges are: root's in the host's network namespace (undefined), a plain user's in the one that came with the user's namespace, of
 * which the user is root. It is there as long as that is, and has no way out of its own: see wayOut.ts.
 */
export function bridgeNamespacePath(): string | undefined {
  if (userId() === 0) return undefined;
  const pid = readNamespace()?.pid;
  if (pid === undefined) throw new Error("the process that keeps the user's namespace has ended");
  return `/proc/${pid}/ns/net`;
}

/** Opened for `openLinks` and its like; the caller closes it. */
export function openBridgeNamespace(linux: Linux): number | undefined {
  const path = bridgeNamespacePath();
  return path === undefined ? undefined : linux.openat(AT_FDCWD, path, O_RDONLY);
}

/** Whether the bridges are in another namespace than this process. */
export function hasOwnBridgeNamespace(): boolean {
  const path = bridgeNamespacePath();
  return path !== undefined && readlinkSync(path) !== readlinkSync("/proc/self/ns/net");
}

/** The command that runs the program where the bridges are. */
export function inBridgeNamespace(command: readonly string[]): string[] {
  const path = bridgeNamespacePath();
  return path === undefined ? [...command] : [findProgram("nsenter") ?? "nsenter", `--net=${path}`, "--", ...command];
}
