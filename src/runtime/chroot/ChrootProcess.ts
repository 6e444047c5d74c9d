import type { ProgramSpec } from "../../linux/becomeProgram.ts";

/** The first word of the command line by which slipway starts itself to become a step's process. Nobody else calls it. */
export const CHROOT_PROCESS = "__chroot-process";

/** What the helper is told: a file's JSON. */
export type ChrootProcess = ProgramSpec;

/** What it says, on descriptor 3, where it cannot become that; nothing where it has. */
export interface ChrootFailure {
  syscall: string;
  code: string;
  message: string;
}
