import { lstatSync, mkdirSync, readFileSync } from "node:fs";
import { isAlive } from "../../linux/processStart.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { runDirectory } from "../runtimeCommand.ts";

/** The process that keeps a user's namespace for as long as the machine runs, whatever ends in it. */
export interface NamespaceRecord {
  pid: number;
  /** With the pid it is that process and no other. */
  start: number;
  /** `single`: of all ids only the user's own is there. */
  ids: "mapped" | "single";
}

export const namespaceFile = (): string => `${runDirectory()}/namespace`;

/** The namespace that is there; undefined where it has to be made. */
export function readNamespace(): NamespaceRecord | undefined {
  try {
    const record = JSON.parse(readFileSync(namespaceFile(), "utf8")) as NamespaceRecord;
    return isAlive(record.pid, record.start) ? record : undefined;
  } catch {
    return undefined; // none yet, or a writer's end of the machine
  }
}

/**
 * Makes the user's directory of passing state, where it is not there, and refuses one that others could write to: names in it decide into which
 * process's namespace we go. @throws SlipwayError `RUN_DIRECTORY_UNSAFE`
 */
export function secureRunDirectory(): void {
  const directory = runDirectory();
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const stat = lstatSync(directory);
  if (stat.isDirectory() && stat.uid === process.getuid?.() && (stat.mode & 0o077) === 0) return;
  throw new SlipwayError("RUN_DIRECTORY_UNSAFE", `the directory ${directory} is not this user's alone`, {
    hint: `Remove it, or name another place by $XDG_RUNTIME_DIR. It must belong to uid ${process.getuid?.()} and have mode 0700.`,
  });
}
