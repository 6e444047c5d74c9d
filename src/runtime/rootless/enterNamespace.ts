import { SlipwayError } from "../../oci/SlipwayError.ts";
import { USER_VARIABLE } from "../../linux/userNamespace.ts";
import { findProgram } from "../findProgram.ts";
import { readNamespace } from "./namespaceRecord.ts";

/**
 * Begins this process anew as `command`, root of the user's own namespace: same pid, terminal and folder. Comes back only where that cannot
 * be had, with the reason. All processes of a user share one namespace, or none could reach into containers that another has started.
 */
export async function enterNamespace(command: readonly [string, ...string[]]): Promise<unknown> {
  try {
    if (readNamespace() === undefined) await (await import("./makeNamespace.ts")).makeNamespace();
    return enterKnown(command);
  } catch (error) {
    return error;
  }
}

/** The same where the namespace is there. */
export function enterKnown(command: readonly [string, ...string[]]): unknown {
  const pid = readNamespace()?.pid;
  const nsenter = findProgram("nsenter");
  if (nsenter === undefined) {
    return new SlipwayError(
      "NAMESPACE_REFUSED",
      "the program nsenter, which enters a user namespace, is not installed",
      {
        hint: "Install it: apt-get install util-linux",
        exitCode: 125,
      },
    );
  }
  if (pid === undefined) return new Error("the process that keeps the user's namespace has ended");
  // The credentials stay: our uid is the namespace's 0, and the groups that let us read our files are kept.
  const args = [nsenter, "-U", "-t", String(pid), "--preserve-credentials", ...command];
  try {
    process.execve?.(nsenter, args, { ...process.env, [USER_VARIABLE]: String(process.getuid?.()) });
    return new Error("the program cannot begin anew");
  } catch (error) {
    return error;
  }
}
