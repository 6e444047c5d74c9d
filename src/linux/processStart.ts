import { readFileSync } from "node:fs";

/**
 * When the process began, in clock ticks since boot (proc(5), /proc/PID/stat field 22): with the pid it names the process for
 * ever. Undefined where there is none, or where only its zombie is left.
 */
export function processStart(pid: number): number | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    return undefined; // no such process
  }
  // The name, in parentheses, may hold anything; what follows its last parenthesis is plain.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  if (fields[0] === "Z" || fields[0] === "X") return undefined;
  return Number(fields[19]);
}

/** True while the very process lives that had this pid and start. */
export function isAlive(pid: number | undefined, start: number | undefined): boolean {
  return pid !== undefined && start !== undefined && processStart(pid) === start;
}
