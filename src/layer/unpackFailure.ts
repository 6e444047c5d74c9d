import { isErrno, LinuxError } from "../linux/LinuxError.ts";
import { encodePath } from "../linux/pathBytes.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import type { TarEntry } from "./tarReader.ts";
import { unmappedOwner } from "./unmappedOwner.ts";

/** Linux, limits.h (PATH_MAX and NAME_MAX), without the closing NUL. */
const MAX_PATH = 4095;
const MAX_NAME = 255;
/** The last one, -1, is none. */
const MAX_ID = 0xfffffffe;
/** Linux, kdev_t.h */
const MAX_MAJOR = 0xfff;
const MAX_MINOR = 0xfffff;
/** As no character of a string has more than three bytes, a path of so many needs no counting. */
const SHORT = MAX_NAME / 3;

export function refused(entry: TarEntry, why: string, cause?: unknown): SlipwayError {
  return new SlipwayError("BAD_ARCHIVE", `the archive's entry ${shown(entry.path)} is refused: ${why}`, { cause });
}

/**
 * Refuses names, link targets, owners and devices that no file can have: the kernel would take some bits of a number and make another of it.
 * `whiteouts`: the prefix of one is no part of a file's name. @throws SlipwayError `BAD_ARCHIVE`
 */
export function checkEntry(entry: TarEntry, whiteouts: boolean): void {
  if (entry.uid > MAX_ID || entry.gid > MAX_ID)
    throw refused(entry, `its owner ${entry.uid}:${entry.gid} is out of range`);
  if ((entry.type === "char" || entry.type === "block") && (entry.major > MAX_MAJOR || entry.minor > MAX_MINOR)) {
    throw refused(entry, `its device ${entry.major}:${entry.minor} is out of range`);
  }
  const long =
    entry.path.length <= SHORT
      ? undefined
      : tooLong(whiteouts ? entry.path.replace(/(^|\/)\.wh\.([^/]*)$/, "$1$2") : entry.path);
  if (long !== undefined) throw refused(entry, `its ${long}`);
  if (entry.type !== "symlink" && entry.type !== "hardlink") return;
  const target = entry.type === "symlink" ? tooLong(entry.linkname, false) : tooLong(entry.linkname);
  if (target !== undefined) throw refused(entry, `its target's ${target}`);
  if (entry.linkname === "") throw refused(entry, "it is a link to nothing");
  if (entry.linkname.includes("\0")) throw refused(entry, "its target has a zero byte");
}

/** What a system call that failed means for the entry; a full disk, which is no fault of the entry, stays what it is. */
export function unpackFailure(entry: TarEntry | undefined, error: unknown): unknown {
  if (entry === undefined || !(error instanceof LinuxError) || isErrno(error, "ENOSPC", "EDQUOT")) return error;
  if (isErrno(error, "EFBIG"))
    return refused(entry, `${entry.size} bytes are more than a file of this disk can have`, error);
  const unmapped = isErrno(error, "EINVAL") ? unmappedOwner(entry.uid, entry.gid) : undefined;
  if (unmapped !== undefined) {
    const { code, hint } = unmapped;
    return new SlipwayError(code, `the archive's entry ${shown(entry.path)}: ${unmapped.message}`, {
      ...(hint === undefined ? {} : { hint }),
      cause: error,
    });
  }
  if (error.syscall === "mknodat" && isErrno(error, "EPERM")) {
    return refusedDevice(`the archive's entry ${shown(entry.path)}`, error);
  }
  return new SlipwayError("UNPACK_FAILED", `the archive's entry ${shown(entry.path)}: ${error.message}`, {
    cause: error,
  });
}

/** `what` is a device, and the kernel lets this process make none. */
export function refusedDevice(what: string, cause: unknown): SlipwayError {
  return new SlipwayError("DEVICE_REFUSED", `${what} is a device, which this user cannot make`, {
    hint: "Only the machine's root makes devices: run slipway as root for this image.",
    cause,
  });
}

function shown(path: string): string {
  return JSON.stringify(path.length > 300 ? `${path.slice(0, 150)}…${path.slice(-100)}` : path);
}

function tooLong(path: string, names = true): string | undefined {
  if (path.length <= SHORT) return undefined;
  const bytes = path.length > MAX_PATH ? path.length : encodePath(path).length;
  if (bytes > MAX_PATH) return `path is longer than the ${MAX_PATH} bytes that Linux takes`;
  if (!names) return undefined;
  const name = path.split("/").find((part) => part.length > SHORT && encodePath(part).length > MAX_NAME);
  return name === undefined ? undefined : `name ${shown(name)} is longer than the ${MAX_NAME} bytes that Linux takes`;
}
