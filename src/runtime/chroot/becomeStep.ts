import { readFileSync, writeSync } from "node:fs";
import { becomeProgram } from "../../linux/becomeProgram.ts";
import { LinuxError } from "../../linux/LinuxError.ts";
import { type ChrootFailure, type ChrootProcess, DESCRIPTION, REPORT } from "./ChrootProcess.ts";

/** The helper's whole life: it becomes the process that it is told on one descriptor, or says on the other why it cannot. */
export function becomeStep(): never {
  try {
    return becomeProgram(JSON.parse(readFileSync(DESCRIPTION, "utf8")) as ChrootProcess);
  } catch (error) {
    const { syscall, code } = error instanceof LinuxError ? error : { syscall: "", code: "" };
    const failure: ChrootFailure = { syscall, code, message: (error as Error).message };
    writeSync(REPORT, JSON.stringify(failure));
    process.exit(125);
  }
}
