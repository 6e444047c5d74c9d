import { isErrno } from "../linux/LinuxError.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";

/** What a failed write to the store means to the person: `DISK_FULL` where no room is left, else the error itself. */
export function storeFailure(root: string, error: unknown): unknown {
  const full =
    isErrno(error, "ENOSPC", "EDQUOT") ||
    (error instanceof Error && "code" in error && (error.code === "SQLITE_FULL" || error.code === "ENOSPC"));
  if (!full) return error;
  return new SlipwayError("DISK_FULL", `no space is left on the file system of the store ${root}`, {
    hint: "Free some space, or put the store elsewhere by $SLIPWAY_ROOT.",
    cause: error,
  });
}
