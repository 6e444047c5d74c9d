import { readFileSync, writeSync } from "node:fs";
import { becomeProgram } from "../../linux/becomeProgram.ts";
import { LinuxError } from "../../linux/LinuxError.ts";
import type { ChrootFailure, ChrootProcess } from "./ChrootProcess.ts";

const REPORT = 3;

/** The helper's whole life: it becomes the process that the file describes, or says on descriptor 3 why it cannot. */
export function becomeStep(file: string): never {
  try {
    return becomeProgram(JSON.parse(readFileSync(file, "utf8")) as ChrootProcess);
  } catch (error) {
    const { syscall, code } = error instanceof LinuxError ? error : { syscall: "", code: "" };
    const failure: ChrootFailure = { syscall, code, message: (error as Error).message };
    writeSync(REPORT, JSON.stringify(failure));
    process.exit(125);
  }
}
