import type { Linux } from "../../linux/Linux.ts";
import { isErrno } from "../../linux/LinuxError.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { readRootFile } from "../../runtime/readRootFile.ts";
import type { Owner } from "./layerWriter.ts";

/** Far more than any real /etc/passwd; a larger one is refused rather than read. */
const MAX_ACCOUNT_FILE = 4 * 1024 * 1024;

/** True when names have to be looked up in the base's files. */
export function needsAccounts(spec: string | undefined): boolean {
  return (spec ?? "").split(":").some((part) => !/^\d*$/.test(part));
}

/**
 * `user[:group]` by name or number, names from /etc/passwd and /etc/group of the file system `rootFd` (undefined: empty).
 * As BuildKit has it, and not as a process's user is looked up (see resolveUser): a number is never looked up and alone is the group's, too;
 * a name alone brings its own group; a user that is not there is root, a group that is not there changes nothing.
 * @throws SlipwayError `BAD_ACCOUNT_FILE`
 */
export function lookupOwner(linux: Linux, rootFd: number | undefined, spec: string): Owner {
  const [user = "", group] = spec.split(":");
  let uid = 0;
  let gid = 0;
  if (/^\d+$/.test(user)) {
    uid = gid = Number(user);
  } else if (user !== "") {
    const line = accountLine(linux, rootFd, "etc/passwd", user);
    uid = Number(line?.[2] ?? 0);
    gid = Number(line?.[3] ?? 0);
  }
  if (group !== undefined && group !== "") {
    if (/^\d+$/.test(group)) gid = Number(group);
    else {
      const line = accountLine(linux, rootFd, "etc/group", group);
      if (line !== undefined) gid = Number(line[2]);
    }
  }
  return { uid, gid };
}

function accountLine(linux: Linux, rootFd: number | undefined, path: string, name: string): string[] | undefined {
  if (rootFd === undefined) return undefined;
  let text: string | undefined;
  try {
    text = readRootFile(linux, rootFd, path, MAX_ACCOUNT_FILE);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR", "ELOOP")) return undefined;
    throw error;
  }
  if (text === undefined) {
    throw new SlipwayError("BAD_ACCOUNT_FILE", `/${path} of the image is not a regular file of at most 4 MiB`);
  }
  for (const line of text.split("\n")) {
    const fields = line.split(":");
    if (fields[0] === name && fields.length >= 3) return fields;
  }
  return undefined;
}
