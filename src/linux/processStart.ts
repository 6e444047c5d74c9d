import { readFileSync } from "node:fs";

/**
 * What /proc/PID/stat says, from its field 3 (the state) on, proc(5). Undefined where there is no such process.
 */
export function processStat(pid: number): string[] | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    return undefined;
  }
  // The name, in parentheses, may hold anything; what follows its last parenthesis is plain.
  return text.slice(text.lastIndexOf(")") + 2).split(" ");
}

/**
 * When the process began, in clock ticks since boot (proc(5), /proc/PID/stat field 22): with the pid it names the process for
 * ever. Undefined where there is none, or where only its zombie is left.
 */
export function processStart(pid: number): number | undefined {
  const fields = processStat(pid);
  if (fields === undefined || fields[0] === "Z" || fields[0] === "X") return undefined;
  return Number(fields[19]);
}

/** True while the very process lives that had this pid and start. */
export function isAlive(pid: number | undefined, start: number | undefined): boolean {
  return pid !== undefined && start !== undefined && processStart(pid) === start;
}
