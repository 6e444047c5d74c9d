import type { Linux } from "../linux/Linux.ts";
import { isErrno } from "../linux/LinuxError.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { readRootFile } from "./readRootFile.ts";

export interface ResolvedUser {
  uid: number;
  gid: number;
  additionalGids: number[];
  /** Home directory by /etc/passwd, `/` where it says none. */
  home: string;
}

const MAX_FILE = 8 * 1024 * 1024; // larger than any real user database, small enough to hold
const MAX_ID = 2 ** 31 - 1; // Docker's bound

/**
 * The user that `USER` or `--user` names (`name`, `uid`, each with `:group` or `:gid`; "" is root), looked up in the image's
 * own /etc/passwd and /etc/group. `root` is a descriptor of the root file system; no link leads out of it, and only
 * regular files of bounded size are read. Without a group, the user's supplementary groups come along.
 * @throws SlipwayError `USER_NOT_FOUND`, `GROUP_NOT_FOUND`, `INVALID_USER`
 */
export function resolveUser(linux: Linux, root: number, user: string): ResolvedUser {
  const colon = user.indexOf(":");
  const userPart = colon < 0 ? user : user.slice(0, colon);
  const groupPart = colon < 0 ? "" : user.slice(colon + 1);
  const passwd = readDatabase(linux, root, "etc/passwd").split("\n").map(passwdEntry);
  const group = readDatabase(linux, root, "etc/group").split("\n").map(groupEntry);

  const wanted = userPart === "" ? "0" : userPart;
  // A name wins over a number, as in Docker: a user may be called "1000".
  const entry =
    passwd.find((each) => each !== undefined && each.name === wanted) ??
    passwd.find((each) => each !== undefined && String(each.uid) === wanted);
  let uid: number;
  if (entry !== undefined) uid = entry.uid;
  else {
    const number = idNumber(wanted);
    if (number === undefined) {
      throw new SlipwayError("USER_NOT_FOUND", `unable to find user ${userPart}: no matching entries in passwd file`, {
        hint: "Create the user in the image, or give its number.",
        exitCode: 126,
      });
    }
    uid = number;
  }

  let gid = entry?.gid ?? 0;
  let additionalGids: number[] = [];
  if (groupPart !== "") {
    const found =
      group.find((each) => each !== undefined && each.name === groupPart) ??
      group.find((each) => each !== undefined && String(each.gid) === groupPart);
    const number = found?.gid ?? idNumber(groupPart);
    if (number === undefined) {
      throw new SlipwayError(
        "GROUP_NOT_FOUND",
        `unable to find group ${groupPart}: no matching entries in group file`,
        {
          hint: "Create the group in the image, or give its number.",
          exitCode: 126,
        },
      );
    }
    gid = number;
  } else if (entry !== undefined) {
    const member = group.filter((each) => each?.members.includes(entry.name) === true);
    additionalGids = member.map((each) => (each as { gid: number }).gid);
  }
  // The group itself is among them, or leaving it by setgid(2) would gain what group permissions deny (CVE-2022-36109).
  additionalGids = [...new Set([gid, ...additionalGids])];
  return { uid, gid, additionalGids, home: entry?.home || "/" };
}

/** The groups that `--group-add` names, by name or number, in the image's own /etc/group. @throws SlipwayError `GROUP_NOT_FOUND`, `INVALID_USER` */
export function resolveGroups(linux: Linux, root: number, groups: readonly string[]): number[] {
  if (groups.length === 0) return [];
  const entries = readDatabase(linux, root, "etc/group").split("\n").map(groupEntry);
  return groups.map((group) => {
    const gid = entries.find((each) => each?.name === group)?.gid ?? idNumber(group);
    if (gid !== undefined) return gid;
    throw new SlipwayError("GROUP_NOT_FOUND", `unable to find group ${group}: no matching entries in group file`, {
      hint: "Create the group in the image, or give its number.",
      exitCode: 126,
    });
  });
}

/** A user database of the image as text, "" where there is none. @throws SlipwayError `INVALID_USER` where it is no plain file of sane size */
function readDatabase(linux: Linux, root: number, path: string): string {
  let text: string | undefined;
  try {
    text = readRootFile(linux, root, path, MAX_FILE);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return "";
    throw new SlipwayError("INVALID_USER", `/${path} of the image cannot be read`, { cause: error, exitCode: 126 });
  }
  if (text !== undefined) return text;
  throw new SlipwayError("INVALID_USER", `/${path} of the image is no regular file of at most 8 MiB`, {
    exitCode: 126,
  });
}

function passwdEntry(line: string): { name: string; uid: number; gid: number; home: string } | undefined {
  const fields = line.split(":");
  const uid = idNumber(fields[2]);
  const gid = idNumber(fields[3]);
  if (fields.length < 4 || uid === undefined || gid === undefined) return undefined;
  return { name: fields[0] as string, uid, gid, home: fields[5] ?? "" };
}

function groupEntry(line: string): { name: string; gid: number; members: string[] } | undefined {
  const fields = line.trimEnd().split(":");
  const gid = idNumber(fields[2]);
  if (gid === undefined) return undefined;
  return { name: fields[0] as string, gid, members: (fields[3] ?? "").split(",").filter((name) => name !== "") };
}

function idNumber(text: string | undefined): number | undefined {
  if (text === undefined || !/^[0-9]{1,10}$/.test(text)) return undefined;
  const number = Number(text);
  return number <= MAX_ID ? number : undefined;
}
