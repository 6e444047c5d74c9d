import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AT_FDCWD, O_NOFOLLOW, O_RDONLY, O_RDWR, SEEK_SET } from "./constants.ts";
import { createLinux } from "./createLinux.ts";
import { isErrno, LinuxError } from "./LinuxError.ts";

const linux = createLinux();
const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const each of cleanups.splice(0).reverse()) each();
});

function opened(fd: number): number {
  cleanups.push(() => linux.close(fd));
  return fd;
}

const bytes = (text: string) => new TextEncoder().encode(text);

describe("a call that fails", () => {
  const path = mkdtempSync(join(tmpdir(), "slipway-linux-"));
  afterAll(() => rmSync(path, { recursive: true }));
  mkdirSync(join(path, "full/x"), { recursive: true });
  writeFileSync(join(path, "file"), "");
  symlinkSync("loop", join(path, "loop"));
  const p = (name: string) => join(path, name);
  const of = (name: string, flags = O_RDONLY) => opened(linux.openat(AT_FDCWD, p(name), flags));

  test.each<[code: string, syscall: string, path: string | undefined, work: () => unknown]>([
    ["ENOENT", "openat", p("none"), () => linux.openat(AT_FDCWD, p("none"), O_RDONLY)],
    ["ENOENT", "statx", p("none"), () => linux.statat(AT_FDCWD, p("none"))],
    ["EEXIST", "mkdirat", p("full"), () => linux.mkdirat(AT_FDCWD, p("full"), 0o700)],
    ["EEXIST", "symlinkat", p("file"), () => linux.symlinkat("x", AT_FDCWD, p("file"))],
    ["EEXIST", "linkat", p("full"), () => linux.linkat(AT_FDCWD, p("file"), AT_FDCWD, p("full"))],
    ["EEXIST", "mknodat", p("file"), () => linux.mkfifo(p("file"), 0o600)],
    ["ENOTDIR", "statx", p("file/x"), () => linux.statatOrUndefined(AT_FDCWD, p("file/x"))],
    ["ENOTDIR", "getdents64", undefined, () => linux.readdir(of("file"))],
    ["ENOTDIR", "renameat2", p("file"), () => linux.renameat2(AT_FDCWD, p("full"), AT_FDCWD, p("file"))],
    ["EISDIR", "read", undefined, () => linux.read(of("full"), new Uint8Array(1))],
    ["EISDIR", "unlinkat", p("full"), () => linux.unlinkat(AT_FDCWD, p("full"))],
    ["ENOTEMPTY", "unlinkat", p("full"), () => linux.unlinkat(AT_FDCWD, p("full"), true)],
    ["EINVAL", "readlinkat", p("file"), () => linux.readlinkat(AT_FDCWD, p("file"))],
    ["EINVAL", "ftruncate", undefined, () => linux.ftruncate(of("file", O_RDWR), -1)],
    ["ELOOP", "fchmodat", p("loop"), () => linux.fchmodat(AT_FDCWD, p("loop"), 0o600)],
    ["ELOOP", "openat", p("loop"), () => linux.openat(AT_FDCWD, p("loop"), O_RDONLY | O_NOFOLLOW)],
    ["EXDEV", "linkat", p("x"), () => linux.linkat(AT_FDCWD, "/proc/self/status", AT_FDCWD, p("x"))],
    ["ENAMETOOLONG", "openat", p("n".repeat(256)), () => linux.openat(AT_FDCWD, p("n".repeat(256)), O_RDONLY)],
    ["ENAMETOOLONG", "openat", "x".repeat(4096), () => linux.openat(AT_FDCWD, "x".repeat(4096), O_RDONLY)],
    ["ENAMETOOLONG", "path", "x".repeat(9000), () => linux.openat(AT_FDCWD, "x".repeat(9000), O_RDONLY)],
    ["EINVAL", "path", "a\0b", () => linux.unlinkat(AT_FDCWD, "a\0b")],
    ["EBADF", "close", undefined, () => linux.close(1_000_000)],
    ["EBADF", "fchownat", "x", () => linux.fchownat(1_000_000, "x", 0, 0)],
    ["EBADF", "write", undefined, () => linux.write(of("file"), bytes("x"))],
    ["EBADF", "ioctl FICLONE", undefined, () => linux.reflink(1_000_000, of("file", O_RDWR))],
    ["EBADF", "copy_file_range", undefined, () => linux.copyFileRange(1_000_000, of("file", O_RDWR), 1)],
    ["EBADF", "fchmod", undefined, () => linux.fchmod(1_000_000, 0)],
    ["EBADF", "dup", undefined, () => linux.dup(1_000_000)],
    ["EBADF", "fallocate", undefined, () => linux.preallocate(of("file"), 10)],
    ["EBADF", "syncfs", undefined, () => linux.syncfs(1_000_000)],
    ["EINVAL", "fsync", undefined, () => linux.fsync(opened(linux.openat(AT_FDCWD, "/dev/null", O_RDONLY)))],
    ["EINVAL", "utimensat", p("file"), () => linux.utimensat(AT_FDCWD, p("file"), { sec: 0, nsec: 1e9 })],
    ["ESPIPE", "lseek", undefined, () => linux.lseek(linux.pipe().map(opened)[0] as number, 0, SEEK_SET)],
    ["ENOTTY", "ioctl", undefined, () => linux.getWindowSize(of("file"))],
    ["EINVAL", "fcntl", undefined, () => linux.addSeals(of("file", O_RDWR))],
    ["EINVAL", "memfd_create", undefined, () => linux.memfdCreate("m".repeat(250))],
    ["EPERM", "lsetxattr", p("loop"), () => linux.setxattr(AT_FDCWD, p("loop"), "user.a", bytes(""))],
  ])("%s of %s", (code, syscall, path, work) => {
    let thrown: unknown;
    try {
      work();
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(LinuxError);
    expect(thrown).toMatchObject({ code, syscall, path, name: "LinuxError" });
    expect([isErrno(thrown, "ENOSYS", code), isErrno(thrown, "ENOSYS")]).toEqual([true, false]);
    const place = path === undefined ? "" : ` ${JSON.stringify(path)}`;
    expect((thrown as Error).message).toBe(`${syscall}${place}: ${code}`);
  });
});

test("an errno without a name keeps its number, one with two names answers to the kernel's", () => {
  expect(new LinuxError("openat", 4095, "x")).toMatchObject({ code: "errno 4095", errno: 4095 });
  expect(isErrno("ENOENT", "ENOENT")).toBe(false);
  for (const code of ["ENOTSUP", "EOPNOTSUPP"])
    expect(isErrno(Object.assign(new Error(), { code }), "EOPNOTSUPP")).toBe(true);
  expect(isErrno(Object.assign(new Error(), { code: "ENOENT" }), "ENOENT")).toBe(true);
});
