import { errnoName } from "./errno.ts";

/** A system call that failed. `code` is the errno's name (`ENOENT`), as in Node's own errors. */
export class LinuxError extends Error {
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;
  readonly path: string | undefined;

  constructor(syscall: string, errno: number, path?: string) {
    const code = errnoName(errno);
    super(`${syscall}${path === undefined ? "" : ` ${JSON.stringify(path)}`}: ${code}`);
    this.name = "LinuxError";
    this.code = code;
    this.errno = errno;
    this.syscall = syscall;
    this.path = path;
  }
}

/** True when `error` carries one of these errno names (the kernel's: `EOPNOTSUPP`, `EAGAIN`), whichever library threw it. */
export function isErrno(error: unknown, ...codes: string[]): boolean {
  if (!(error instanceof Error)) return false;
  const code = (error as { code?: string }).code ?? "";
  return codes.includes(code === "ENOTSUP" ? "EOPNOTSUPP" : code);
}
