import { LinuxError } from "../linux/LinuxError.ts";
import { type IdRange, inUserNamespace, mappedIds } from "../linux/userNamespace.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";

/** Which files and processes can have this owner is for the user namespace to say; undefined where it can. */
export function unmappedOwner(
  uid: number,
  gid: number,
  ranges: readonly IdRange[] = mappedIds(),
): SlipwayError | undefined {
  const has = (id: number): boolean => ranges.some(({ inside, length }) => id >= inside && id < inside + length);
  return has(uid) && has(gid) ? undefined : unmapped(`the owner ${uid}:${gid}`, ranges);
}

/** What a system call that gave a file its owner means where the namespace has no such id; any other error as it is. */
export function ownerFailure(error: unknown): unknown {
  if (!(error instanceof LinuxError) || error.syscall !== "fchownat" || error.code !== "EINVAL") return error;
  const ranges = mappedIds();
  return inUserNamespace(ranges) ? unmapped("the owner of a file", ranges, error) : error;
}

function unmapped(what: string, ranges: readonly IdRange[], cause?: unknown): SlipwayError {
  const ids = ranges.map(({ inside, length }) => (length === 1 ? `${inside}` : `${inside} to ${inside + length - 1}`));
  return new SlipwayError("ID_NOT_MAPPED", `${what} is none of the ids that this user has here (${ids.join(", ")})`, {
    hint: "Root has all ids, a user those of /etc/subuid and /etc/subgid: 'slipway info' says which command gives more.",
    cause,
  });
}
