/** The numbers of errors that we tell apart or meet every day (asm-generic/errno.h). Loading the runtime's whole list costs every command a millisecond. */
export const errno = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  E2BIG: 7,
  EBADF: 9,
  EAGAIN: 11,
  EACCES: 13,
  EEXIST: 17,
  EXDEV: 18,
  ENOTDIR: 20,
  EINVAL: 22,
  ENOTTY: 25,
  ENAMETOOLONG: 36,
  ENOTEMPTY: 39,
  ELOOP: 40,
  ENODATA: 61,
  EOPNOTSUPP: 95,
  ECANCELED: 125,
} as const;

let names: Map<number, string> | undefined;

/** `ENOENT` for 2. Of one number with two names the kernel's: EAGAIN, EOPNOTSUPP. */
export function errnoName(number: number): string {
  names ??= new Map(Object.entries(errno).map(([name, value]) => [value, name]));
  return names.get(number) ?? rareName(number) ?? `errno ${number}`;
}

function rareName(number: number): string | undefined {
  const { constants } = require("node:os") as typeof import("node:os");
  return Object.entries(constants.errno).find(([, value]) => value === number)?.[0];
}
