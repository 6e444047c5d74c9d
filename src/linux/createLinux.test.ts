import { afterEach, describe, expect, test } from "bun:test";
import { dlopen, FFIType, ptr } from "bun:ffi";
import { closeSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  AT_FDCWD,
  LOCK_EX,
  LOCK_NB,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
  RENAME_EXCHANGE,
  RENAME_NOREPLACE,
  RESOLVE_BENEATH,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
  SEEK_DATA,
  SEEK_HOLE,
  SEEK_SET,
} from "./constants.ts";
import { createLinux } from "./createLinux.ts";
import { decodePath } from "./pathBytes.ts";

const linux = createLinux();
const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const each of cleanups.splice(0).reverse()) each();
});

/** A fresh directory and a descriptor of it. */
function place(): { path: string; fd: number } {
  const path = mkdtempSync(join(tmpdir(), "slipway-linux-"));
  const fd = linux.openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
  cleanups.push(() => {
    linux.close(fd);
    rmSync(path, { recursive: true });
  });
  return { path, fd };
}

function opened(fd: number): number {
  cleanups.push(() => linux.close(fd));
  return fd;
}

const bytes = (text: string) => new TextEncoder().encode(text);
const content = (path: string) => readFileSync(path, "utf8");
const isCloseOnExec = (fd: number) =>
  (Number.parseInt(/flags:\s*(\d+)/.exec(content(`/proc/self/fdinfo/${fd}`))?.[1] ?? "", 8) & O_CLOEXEC) !== 0;

describe("descriptors", () => {
  test("what is written is read, at the offset and anywhere, in whole and in part", () => {
    const { path, fd: at } = place();
    const fd = opened(linux.openat(at, "f", O_RDWR | O_CREAT | O_EXCL, 0o640));
    const large = new Uint8Array(3_000_000).map((_, i) => i % 251);
    linux.write(fd, large);
    linux.write(fd, new Uint8Array(0));
    expect(linux.lseek(fd, 0, SEEK_SET)).toBe(0);
    const into = new Uint8Array(1000);
    expect([linux.read(fd, into), into.at(-1)]).toEqual([1000, 999 % 251]);
    expect(linux.read(fd, new Uint8Array(0))).toBe(0);
    expect([linux.pread(fd, into.subarray(0, 10), 2_999_995), into[4]]).toEqual([5, 2_999_999 % 251]);
    expect(linux.pread(fd, new Uint8Array(0), 0)).toBe(0);
    expect(linux.pread(fd, into, 3_000_000)).toBe(0);
    linux.ftruncate(fd, 5);
    expect([...readFileSync(join(path, "f"))]).toEqual([0, 1, 2, 3, 4]);
  });

  test("holes are found, beyond 4 GiB too, and room is reserved without a change of size", () => {
    const { fd: at } = place();
    const fd = opened(linux.openat(at, "f", O_RDWR | O_CREAT, 0o600));
    const far = 5 * 2 ** 30;
    linux.ftruncate(fd, far + 1);
    linux.lseek(fd, far, SEEK_SET);
    linux.write(fd, bytes("x"));
    expect(linux.lseek(fd, 0, SEEK_DATA)).toBeGreaterThan(4 * 2 ** 30);
    expect(linux.lseek(fd, 0, SEEK_HOLE)).toBe(0);
    const { size, blocks } = linux.statat(fd, "");
    expect(size).toBe(far + 1);
    linux.preallocate(fd, 1 << 20);
    expect(linux.statat(fd, "")).toMatchObject({ size });
    expect(linux.statat(fd, "").blocks).toBeGreaterThan(blocks);
    linux.ftruncate(fd, 0);
    expect(() => linux.lseek(fd, 0, SEEK_DATA)).toThrow("ENXIO");
    linux.fsync(fd);
    linux.syncfs(fd);
  });

  test("files are copied inside the kernel from where the descriptors stand; extents are shared where they can be", () => {
    const { path, fd: at } = place();
    writeFileSync(join(path, "a"), "0123456789");
    const from = opened(linux.openat(at, "a", O_RDONLY));
    const to = opened(linux.openat(at, "b", O_RDWR | O_CREAT, 0o600));
    linux.lseek(from, 2, SEEK_SET);
    expect([linux.copyFileRange(from, to, 3), linux.copyFileRange(from, to, 100)]).toEqual([3, 5]);
    expect(linux.copyFileRange(from, to, 100)).toBe(0);
    expect(content(join(path, "b"))).toBe("23456789");
    if (linux.reflink(from, to)) expect(content(join(path, "b"))).toBe("0123456789");
    expect(linux.reflink(opened(linux.openat(AT_FDCWD, "/proc/self/status", O_RDONLY)), to)).toBe(false);
  });

  test("a directory whose children lie apart keeps its other flags; where the file system has no such flag nothing happens", () => {
    const { path, fd: at } = place();
    Bun.spawnSync(["chattr", "+A", path]);
    const flags = () => new Set(Bun.spawnSync(["lsattr", "-d", path]).stdout.toString().split(" ")[0]);
    const before = flags();
    if (linux.spreadSubdirectories(at)) expect(flags()).toEqual(before.add("T"));
    expect(linux.spreadSubdirectories(opened(linux.openat(AT_FDCWD, "/proc/self", O_RDONLY)))).toBe(false);
  });

  test("a child inherits none of them but a duplicate and a pipe that is made for it", () => {
    const { fd: at } = place();
    const open = opened(linux.openat(at, "f", O_RDWR | O_CREAT, 0o600));
    const open2 = opened(linux.openat2(at, "f", { flags: O_RDONLY }));
    const pipes = [linux.pipe(), linux.pipe(false)].flat().map(opened);
    const all = [at, open, open2, opened(linux.memfdCreate("m")), opened(linux.dup(open)), ...pipes];
    expect(all.map(isCloseOnExec)).toEqual([true, true, true, true, false, true, true, false, false]);
  });

  test("a pipe carries bytes; an empty one ends, or would block", () => {
    const [from, to] = linux.pipe();
    linux.write(to, bytes("hello"));
    const into = new Uint8Array(10);
    expect([linux.read(from, into), decodePath(into.subarray(0, 5))]).toEqual([5, "hello"]);
    const again = opened(linux.openat(AT_FDCWD, `/proc/self/fd/${from}`, O_RDONLY | O_NONBLOCK));
    expect(() => linux.read(again, into)).toThrow("EAGAIN");
    linux.close(to);
    expect(linux.read(opened(from), into)).toBe(0);
  });

  test("one lock at a time: with LOCK_NB the other is told so, and it is free when its holder closes", () => {
    const { fd: at } = place();
    const first = linux.openat(at, "lock", O_RDWR | O_CREAT, 0o600);
    const second = opened(linux.openat(at, "lock", O_RDWR));
    expect(linux.flock(first, LOCK_EX)).toBe(true);
    expect(linux.flock(second, LOCK_EX | LOCK_NB)).toBe(false);
    linux.close(first);
    expect(linux.flock(second, LOCK_EX | LOCK_NB)).toBe(true);
    expect(() => linux.flock(first, LOCK_EX)).toThrow("EBADF");
  });

  test("a sealed memory file cannot be changed by anybody", () => {
    const fd = opened(linux.memfdCreate("sealed"));
    linux.write(fd, bytes("abc"));
    linux.addSeals(fd);
    expect(() => linux.write(fd, bytes("d"))).toThrow("EPERM");
    expect(() => linux.ftruncate(fd, 0)).toThrow("EPERM");
    const again = opened(linux.openat(AT_FDCWD, `/proc/self/fd/${fd}`, O_RDWR));
    expect(() => linux.write(again, bytes("x"))).toThrow("EPERM");
    expect(content(`/proc/self/fd/${fd}`)).toBe("abc");
  });

  test("a packet socket is reached by a path of any length, and a refusal leaves no descriptor behind", () => {
    const { path } = place();
    const deep = join(path, "d".repeat(200));
    mkdirSync(deep);
    const before = process.cwd();
    const server = listenSeqpacket(deep, "s");
    const fd = opened(linux.connectSeqpacket(join(deep, "s")));
    expect(process.cwd()).toBe(before);
    expect(isCloseOnExec(fd)).toBe(true);
    expect(linux.statat(fd, "").mode & S_IFMT).toBe(S_IFSOCK);
    linux.write(fd, bytes("one"));
    linux.write(fd, bytes("two"));
    const peer = opened(server.accept());
    const into = new Uint8Array(10);
    expect([linux.read(peer, into), linux.read(peer, into)]).toEqual([3, 3]);
    server.close();
    const free = () => {
      const next = linux.dup(0);
      linux.close(next);
      return next;
    };
    const lowest = free();
    expect(() => linux.connectSeqpacket(join(deep, "s"))).toThrow("ECONNREFUSED");
    expect(() => linux.connectSeqpacket(join(deep, "none"))).toThrow("ENOENT");
    expect(free()).toBe(lowest);
  });
});

describe("names", () => {
  test("every kind of file is made, and is what statx says", () => {
    const { path, fd: at } = place();
    linux.mkdirat(at, "dir", 0o750);
    linux.symlinkat("no", at, "link");
    linux.mkfifo(join(path, "fifo"), 0o600);
    linux.mknodat(at, "null", S_IFCHR | 0o666, 1, 3);
    linux.mknodat(at, "large", S_IFBLK | 0o600, 511, 1_000_000);
    linux.mknodat(at, "whiteout", S_IFCHR, 0, 0);
    linux.close(linux.openat(at, "file", O_WRONLY | O_CREAT, 0o4600));
    linux.linkat(at, "file", at, "twin");
    linux.linkat(at, "link", at, "link2");
    const stats = linux.readdirStats(at, (name) => name !== "fifo");
    expect(stats.length).toBe(linux.readdir(at).length - 1);
    for (const { name, stat } of stats) expect(stat).toEqual(linux.statat(at, name));
    const scanned: unknown[] = [];
    linux.scanStats(
      at,
      (bytes, start, end, stat) => {
        scanned.push({ name: Buffer.from(bytes.subarray(start, end)).toString(), stat: { ...stat } });
      },
      (name) => name !== "fifo",
    );
    expect(scanned).toEqual(stats);
    const types = Object.fromEntries(linux.readdir(at).map(({ name, type }) => [name, type]));
    expect(types).toEqual({
      dir: S_IFDIR,
      link: S_IFLNK,
      link2: S_IFLNK,
      fifo: S_IFIFO,
      null: S_IFCHR,
      large: S_IFBLK,
      whiteout: S_IFCHR,
      file: S_IFREG,
      twin: S_IFREG,
    });
    for (const [name, type] of Object.entries(types)) expect(linux.statat(at, name).mode & S_IFMT).toBe(type);
    expect(linux.statat(at, "large")).toMatchObject({ rdevMajor: 511, rdevMinor: 1_000_000 });
    expect(linux.statat(at, "null")).toMatchObject({ rdevMajor: 1, rdevMinor: 3 });
    const [file, twin] = [linux.statat(at, "file"), linux.statatOrUndefined(at, "twin")];
    expect(file).toMatchObject({ nlink: 2, mode: S_IFREG | 0o4600, size: 0, dev: linux.statat(at, "").dev });
    expect(twin).toEqual(file);
    expect(linux.statatOrUndefined(at, "none")).toBeUndefined();
    expect(linux.readlinkat(at, "link2")).toBe("no");
    linux.unlinkat(at, "twin");
    linux.unlinkat(at, "dir", true);
    expect(linux.readdir(at)).toHaveLength(7);
  });

  test("a directory of thousands of names of any bytes is listed whole, each time anew", () => {
    const { fd: at } = place();
    const names = Array.from({ length: 3000 }, (_, i) => `${i}-${"n".repeat(i % 200)}`);
    names.push(decodePath(Uint8Array.of(0xff, 0x0a, 0xfe)), "...", "..a", ".h", "ü\n", "n".repeat(255));
    for (const name of names) linux.mknodat(at, name, S_IFREG | 0o600, 0, 0);
    for (let i = 0; i < 2; i++)
      expect(
        linux
          .readdir(at)
          .map(({ name }) => name)
          .sort(),
      ).toEqual([...names].sort());
    expect(linux.statat(at, names[3000] as string).mode).toBe(S_IFREG | 0o600);
  });

  test("a rename replaces, refuses to, or exchanges", () => {
    const { path, fd: at } = place();
    for (const name of ["a", "b", "c"]) writeFileSync(join(path, name), name);
    linux.renameat2(at, "a", at, "b");
    expect(() => linux.renameat2(at, "b", at, "c", RENAME_NOREPLACE)).toThrow("EEXIST");
    linux.renameat2(at, "b", AT_FDCWD, join(path, "c"), RENAME_EXCHANGE);
    expect([content(join(path, "b")), content(join(path, "c"))]).toEqual(["c", "a"]);
  });

  test("owner, mode and time are set, of a link itself and of what a descriptor shows", () => {
    const { path, fd: at } = place();
    writeFileSync(join(path, "f"), "");
    symlinkSync("f", join(path, "l"));
    linux.fchownat(at, "l", 7, 2 ** 32 - 2);
    linux.utimensat(at, "l", { sec: -1, nsec: 5 });
    expect(linux.statat(at, "l")).toMatchObject({ uid: 7, gid: 2 ** 32 - 2, mtimeSec: -1, mtimeNsec: 5 });
    linux.fchmodat(at, "l", 0o4711);
    linux.utimensat(at, "f", { sec: 2 ** 33, nsec: 999_999_999 });
    expect(linux.statat(at, "f")).toMatchObject({ uid: 0, gid: 0, mode: S_IFREG | 0o4711, mtimeSec: 2 ** 33 });
    const fd = opened(linux.openat(at, "f", O_RDWR));
    linux.fchownat(fd, "", 8, 9);
    linux.fchmod(fd, 0o604);
    linux.utimensat(fd, "", { sec: 1, nsec: 2 });
    const stat = linux.statat(fd, "");
    expect(stat).toMatchObject({ uid: 8, gid: 9, mode: S_IFREG | 0o604, mtimeSec: 1, mtimeNsec: 2 });
    expect(Math.abs(stat.ctimeSec - Date.now() / 1000)).toBeLessThan(5);
    const handle = opened(linux.openat(at, "l", O_PATH | O_NOFOLLOW));
    linux.fchownat(handle, "", 10, 11);
    expect(linux.statat(handle, "")).toMatchObject({ uid: 10, ino: linux.statat(at, "l").ino });
  });

  test("attributes are kept by name, of a file, a link and a descriptor, empty and of 64 KiB", () => {
    const { path, fd: at } = place();
    writeFileSync(join(path, "f"), "");
    symlinkSync("f", join(path, "l"));
    linux.setxattr(at, "f", "user.b", bytes("1"));
    const fd = opened(linux.openat(at, "f", O_RDONLY));
    linux.setxattr(fd, "", "user.a", new Uint8Array(0));
    linux.setxattr(AT_FDCWD, join(path, "l"), "trusted.l", bytes("link"));
    const both: [string, Uint8Array][] = [
      ["user.a", new Uint8Array(0)],
      ["user.b", bytes("1")],
    ];
    expect(linux.xattrs(at, "f")).toEqual(both);
    expect(linux.xattrs(fd, "")).toEqual(both);
    const handle = opened(linux.openat(at, "f", O_PATH));
    linux.setxattr(handle, "", "user.b", bytes("22"));
    expect([linux.getxattr(handle, "", "user.b"), linux.xattrs(handle, "").length]).toEqual([bytes("22"), 2]);
    expect(linux.xattrs(at, "l")).toEqual([["trusted.l", bytes("link")]]);
    expect(linux.getxattr(at, "l", "trusted.l")).toEqual(bytes("link"));
    for (const none of [linux.getxattr(at, "f", "user.none"), linux.getxattr(fd, "", "user.none")])
      expect(none).toBeUndefined();
    expect(linux.getxattr(opened(linux.openat(AT_FDCWD, "/proc/self/fd", O_PATH)), "", "user.a")).toBeUndefined();
    expect(linux.xattrs(AT_FDCWD, "/proc/self/status")).toEqual([]);
    expect(() => linux.setxattr(fd, "", "nonsense", bytes(""))).toThrow("EOPNOTSUPP");
    expect(() => linux.setxattr(fd, "", "user.b", new Uint8Array(65_537))).toThrow("E2BIG");
    expect(() => linux.xattrs(at, "none")).toThrow("ENOENT");
    const tmpfs = opened(linux.memfdCreate("m"));
    linux.setxattr(tmpfs, "", "trusted.large", new Uint8Array(65_536).fill(7));
    expect(linux.xattrs(tmpfs, "")).toEqual([["trusted.large", new Uint8Array(65_536).fill(7)]]);
  });

  test("openat2 keeps the walk inside in the way that it is told", () => {
    const { path, fd: at } = place();
    writeFileSync(join(path, "f"), "inside");
    symlinkSync("/f", join(path, "absolute"));
    symlinkSync("../../../../f", join(path, "up"));
    symlinkSync("/proc/self/exe", join(path, "magic"));
    const read = (name: string, resolve: number) => {
      const fd = linux.openat2(at, name, { flags: O_RDONLY, resolve });
      closeSync(fd);
      return fd > 0;
    };
    for (const name of ["f", "absolute", "up"]) expect(read(name, RESOLVE_IN_ROOT)).toBe(true);
    expect(read("f", RESOLVE_BENEATH)).toBe(true);
    for (const name of ["absolute", "up", ".."]) expect(() => read(name, RESOLVE_BENEATH)).toThrow("EXDEV");
    expect(() => read("absolute", RESOLVE_NO_SYMLINKS)).toThrow("ELOOP");
    expect(() => read("magic", RESOLVE_NO_MAGICLINKS)).toThrow("ELOOP");
    expect(() => linux.openat2(at, "f", { flags: O_RDONLY, mode: 0o600 })).toThrow("EINVAL");
    linux.close(linux.openat2(at, "new", { flags: O_WRONLY | O_CREAT, mode: 0o640 }));
    expect(linux.statat(at, "new").mode).toBe(S_IFREG | 0o640);
  });
});

/** What the library cannot do and conmon does: listen. `name` is bound from within `directory`, so that it may lie deep. */
function listenSeqpacket(directory: string, name: string): { accept(): number; close(): void } {
  const { i32, ptr: pointer } = FFIType;
  const libc = dlopen("libc.so.6", {
    socket: { args: [i32, i32, i32], returns: i32 },
    bind: { args: [i32, pointer, i32], returns: i32 },
    listen: { args: [i32, i32], returns: i32 },
    accept: { args: [i32, pointer, pointer], returns: i32 },
  }).symbols;
  const [AF_UNIX, SOCK_SEQPACKET] = [1, 5];
  const fd = libc.socket(AF_UNIX, SOCK_SEQPACKET, 0);
  const address = new Uint8Array(2 + name.length + 1);
  address[0] = AF_UNIX;
  address.set(bytes(name), 2);
  const before = process.cwd();
  process.chdir(directory);
  expect([libc.bind(fd, ptr(address), address.length), libc.listen(fd, 4)]).toEqual([0, 0]);
  process.chdir(before);
  return { accept: () => libc.accept(fd, null, null), close: () => linux.close(fd) };
}
