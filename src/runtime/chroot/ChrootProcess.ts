import type { ProgramSpec } from "../../linux/becomeProgram.ts";

/** The first word of the command line by which slipway starts itself to become a step's process. Nobody else calls it. */
export const CHROOT_PROCESS = "__chroot-process";

/** Descriptors of the helper: what it says, and what it is told. */
export const REPORT = 3;
export const DESCRIPTION = 4;

/** What the helper is told, as JSON. */
export type ChrootProcess = ProgramSpec;

/** What it says, as JSON, where it cannot become that; nothing where it has. */
export interface ChrootFailure {
  syscall: string;
  code: string;
  message: string;
}
