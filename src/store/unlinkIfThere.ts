import { AT_FDCWD } from "../linux/constants.ts";
import type { Linux } from "../linux/Linux.ts";
import { isErrno } from "../linux/LinuxError.ts";

export function unlinkIfThere(linux: Linux, path: string): void {
  try {
    linux.unlinkat(AT_FDCWD, path);
  } catch (error) {
    if (!isErrno(error, "ENOENT")) throw error;
  }
}
