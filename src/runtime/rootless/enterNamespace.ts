import { USER_VARIABLE } from "../../linux/userNamespace.ts";
import { findProgram } from "../findProgram.ts";
import { readNamespace } from "./namespaceRecord.ts";

/**
 * Begins this process anew as `command`, root of the user's own namespace: same pid, terminal and folder. Comes back only where that cannot
 * be had, with the reason. All processes of a user share one namespace, or none could reach into containers that another has started.
 */
export async function enterNamespace(command: readonly [string, ...string[]]): Promise<Error> {
  try {
    const { pid } = readNamespace() ?? (await (await import("./makeNamespace.ts")).makeNamespace());
    const nsenter = findProgram("nsenter");
    if (nsenter === undefined) return new Error("the program nsenter is not installed (apt-get install util-linux)");
    // The credentials stay: our uid is the namespace's 0, and the groups that let us read our files are kept.
    const args = [nsenter, "-U", "-t", String(pid), "--preserve-credentials", ...command];
    process.execve?.(nsenter, args, { ...process.env, [USER_VARIABLE]: String(process.getuid?.()) });
    return new Error("the program cannot begin anew");
  } catch (error) {
    return error as Error;
  }
}
