import { dlopen, FFIType, ptr, read as readMemory } from "bun:ffi";
import { readFileSync } from "node:fs";
import {
  AT_EMPTY_PATH,
  AT_SYMLINK_FOLLOW,
  AT_SYMLINK_NOFOLLOW,
  AT_REMOVEDIR,
  AT_RECURSIVE,
  FICLONE,
  F_ADD_SEALS,
  F_ALL_SEALS,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  FSCONFIG_CMD_CREATE,
  FSCONFIG_SET_FLAG,
  FSCONFIG_SET_STRING,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  LOCK_NB,
  MOVE_MOUNT_F_EMPTY_PATH,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
  O_CLOEXEC,
  O_NOCTTY,
  O_RDWR,
  O_PATH,
  AT_FDCWD,
  SEEK_SET,
  S_IFIFO,
  TCGETS,
  TIOCGPTPEER,
  TIOCGWINSZ,
  TIOCSPTLCK,
  TIOCSWINSZ,
  FS_IOC_GETFLAGS,
  FS_IOC_SETFLAGS,
  FS_TOPDIR_FL,
} from "./constants.ts"; // prettier-ignore
import type { DirEntry, FoundEntry, Linux, OpenHow, Stat, StatEntry } from "./Linux.ts";
import { errno } from "./errno.ts";
import { LinuxError } from "./LinuxError.ts";
import { decodePath, encodePath, encodePathInto } from "./pathBytes.ts";
import { type Syscall, syscallNumbers } from "./syscallNumbers.ts";
import { inUserNamespace } from "./userNamespace.ts";

const PATH_BYTES = 4097; // PATH_MAX with its NUL, plus one so that "too long" is the kernel's own ENAMETOOLONG
const MOUNT_DATA_BYTES = 4095; // the smallest page, with its NUL
const [AF_INET, AF_INET6] = [2, 10];
const DIRENT_BYTES = 64 * 1024;
const STATX_BASIC_STATS = 0x7ff;
const { E2BIG, EAGAIN, EBADF, EINTR, ENODATA, ENOENT, ENAMETOOLONG, EOPNOTSUPP, EXDEV, EINVAL, ENOTTY, EPERM } = errno;

/** The running kernel, by way of libc's syscall(2). Opens libc at the first call of this function; keep what it returns. */
export function createLinux(): Linux {
  const word = FFIType.i64_fast;
  const libc = dlopen("libc.so.6", {
    syscall: { args: [word, word, word, word, word, word, word], returns: word },
    __errno_location: { args: [], returns: FFIType.ptr },
  });
  const raw = libc.symbols.syscall as unknown as (...words: number[]) => number;
  const errnoAt = libc.symbols.__errno_location() as Parameters<typeof readMemory.i32>[0];
  const numbers = syscallNumbers(process.arch);

  // Fixed memory: its address never changes, so a call needs no allocation.
  const pathA = new Uint8Array(PATH_BYTES);
  const pathB = new Uint8Array(PATH_BYTES);
  const text = new Uint8Array(64 * 1024);
  const statBytes = new Uint8Array(256);
  const statView = new DataView(statBytes.buffer);
  const dirents = Buffer.alloc(DIRENT_BYTES);
  const direntView = new DataView(dirents.buffer, dirents.byteOffset);
  const small = new Uint8Array(256);
  const smallView = new DataView(small.buffer);
  const at = {
    a: ptr(pathA),
    b: ptr(pathB),
    text: ptr(text),
    stat: ptr(statBytes),
    dirents: ptr(dirents),
    small: ptr(small),
  };

  const lent = emptyStat();
  const noAttributes: [string, Uint8Array][] = [];
  Object.freeze(noAttributes);
  let own: ReturnType<Linux["overlayAttributes"]> | undefined;
  let runAside: ReturnType<typeof import("./aside.ts").asideRunner> | undefined;

  function errno(): number {
    return readMemory.i32(errnoAt, 0);
  }

  /** One call, tried again when a signal came in between. */
  function attempt(name: Syscall, a = 0, b = 0, c = 0, d = 0, e = 0, f = 0): number {
    for (;;) {
      const result = raw(numbers[name], a, b, c, d, e, f);
      if (result !== -1) return result;
      const code = errno();
      if (code !== EINTR || name === "close") return -code;
    }
  }

  function call(name: Syscall, path: string | undefined, a = 0, b = 0, c = 0, d = 0, e = 0, f = 0): number {
    const result = attempt(name, a, b, c, d, e, f);
    if (result < 0) throw new LinuxError(name, -result, path);
    return result;
  }

  function setPath(path: string, into: Uint8Array, address: number): number {
    if (path.includes("\0")) throw new LinuxError("path", EINVAL, path);
    if (encodePathInto(path, into) < 0) throw new LinuxError("path", ENAMETOOLONG, path);
    return address;
  }
  const first = (path: string): number => setPath(path, pathA, at.a);
  const second = (path: string): number => setPath(path, pathB, at.b);

  function optionText(value: string): number {
    if (encodePathInto(value, text) < 0) throw new LinuxError("option", ENAMETOOLONG, value);
    return at.text;
  }

  function decodeStat(into: Stat = emptyStat()): Stat {
    const view = statView;
    into.mode = view.getUint16(0x1c, true);
    into.nlink = view.getUint32(0x10, true);
    into.uid = view.getUint32(0x14, true);
    into.gid = view.getUint32(0x18, true);
    into.ino = unsigned64(view, 0x20);
    into.size = unsigned64(view, 0x28);
    into.blocks = unsigned64(view, 0x30);
    into.ctimeSec = signed64(view, 0x60);
    into.ctimeNsec = view.getUint32(0x68, true);
    into.mtimeSec = signed64(view, 0x70);
    into.mtimeNsec = view.getUint32(0x78, true);
    into.rdevMajor = view.getUint32(0x80, true);
    into.rdevMinor = view.getUint32(0x84, true);
    into.dev = view.getUint32(0x88, true) * 0x100000 + view.getUint32(0x8c, true);
    return into;
  }

  function statx(dirfd: number, path: string): number {
    const flags = AT_SYMLINK_NOFOLLOW | (path === "" ? AT_EMPTY_PATH : 0);
    return attempt("statx", dirfd, first(path), flags, STATX_BASIC_STATS, at.stat);
  }

  /** A path by which the calls that know no dirfd reach the file. The final link is not followed by the l-calls. */
  function viaProc(dirfd: number, path: string): string {
    if (dirfd === AT_FDCWD || path.startsWith("/")) return path;
    return path === "" ? `/proc/self/fd/${dirfd}` : `/proc/self/fd/${dirfd}/${path}`;
  }

  function openat(dirfd: number, path: string, flags: number, mode = 0): number {
    return call("openat", path, dirfd, first(path), flags | O_CLOEXEC, mode);
  }

  /** `visit` hears where in `dirents` the name, which ends in a NUL, and its record are, and whether the name is ASCII; it does not last. */
  function eachEntry(dirfd: number, visit: (start: number, end: number, plain: boolean, record: number) => void): void {
    call("lseek", undefined, dirfd, 0, SEEK_SET);
    for (;;) {
      const length = call("getdents64", undefined, dirfd, at.dirents, DIRENT_BYTES);
      if (length === 0) return;
      for (let offset = 0; offset < length; ) {
        const start = offset + 19;
        let end = start;
        let plain = true;
        for (let byte = dirents[end] as number; byte !== 0; byte = dirents[++end] as number)
          if (byte > 0x7f) plain = false;
        const dots = end - start <= 2 && dirents[start] === 0x2e && (end - start === 1 || dirents[start + 1] === 0x2e);
        if (!dots) visit(start, end, plain, offset);
        offset += direntView.getUint16(offset + 16, true);
      }
    }
  }

  /** At the start of `small`; its length. `address` is 4 or 16 bytes. */
  function socketAddress(address: Uint8Array, port: number): number {
    const six = address.length === 16;
    const length = six ? 28 : 16;
    small.fill(0, 0, length);
    smallView.setUint16(0, six ? AF_INET6 : AF_INET, true);
    smallView.setUint16(2, port);
    small.set(address, six ? 8 : 4);
    return length;
  }

  function entryName(start: number, end: number, plain: boolean): string {
    return plain ? dirents.toString("latin1", start, end) : decodePath(dirents.subarray(start, end));
  }

  /** Of an entry of the directory; false where it was removed meanwhile. */
  function statEntry(dirfd: number, start: number, end: number): boolean {
    const result = attempt("statx", dirfd, at.dirents + start, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, at.stat);
    if (result === 0) return true;
    if (result === -ENOENT) return false;
    throw new LinuxError("statx", -result, entryName(start, end, false));
  }

  function readdir(dirfd: number): DirEntry[] {
    const entries: DirEntry[] = [];
    eachEntry(dirfd, (start, end, plain, record) => {
      // DT_* is S_IFMT shifted
      entries.push({ name: entryName(start, end, plain), type: (dirents[record + 18] as number) << 12 });
    });
    return entries;
  }

  function readdirStats(dirfd: number, wanted?: (name: string) => boolean): StatEntry[] {
    const entries: StatEntry[] = [];
    eachEntry(dirfd, (start, end, plain) => {
      const name = entryName(start, end, plain);
      if (wanted?.(name) !== false && statEntry(dirfd, start, end)) entries.push({ name, stat: decodeStat() });
    });
    return entries;
  }

  function scanStats(dirfd: number, found: FoundEntry, wanted?: (name: string) => boolean): void {
    eachEntry(dirfd, (start, end, plain) => {
      if (wanted?.(entryName(start, end, plain)) === false) return;
      if (statEntry(dirfd, start, end)) found(dirents, start, end, decodeStat(lent));
    });
  }

  // An O_PATH descriptor's own attributes (EBADF for the f-calls) are reached through /proc/self/fd/N, whose magic link must be followed.
  function getxattr(dirfd: number, path: string, name: string): Uint8Array | undefined {
    const follow = path === "";
    if (follow) {
      const direct = attempt("fgetxattr", dirfd, second(name), at.text, text.length);
      if (direct >= 0) return text.slice(0, direct);
      if (direct !== -EBADF) return absentOrThrow("fgetxattr", direct, path);
    }
    const result = attempt(
      follow ? "getxattr" : "lgetxattr",
      first(viaProc(dirfd, path)),
      second(name),
      at.text,
      text.length,
    );
    return result < 0 ? absentOrThrow("lgetxattr", result, path) : text.slice(0, result);
  }

  function absentOrThrow(call: string, result: number, path: string): undefined {
    if (result === -ENODATA || result === -EOPNOTSUPP) return undefined;
    throw new LinuxError(call, -result, path);
  }

  return {
    openat,
    openat2(dirfd: number, path: string, how: OpenHow): number {
      smallView.setBigUint64(0, BigInt(how.flags | O_CLOEXEC), true);
      smallView.setBigUint64(8, BigInt(how.mode ?? 0), true);
      smallView.setBigUint64(16, BigInt(how.resolve ?? 0), true);
      // EAGAIN: a rename raced with the walk and the kernel could not prove that it stayed inside (openat2(2)).
      for (let tries = 0; ; tries++) {
        const result = attempt("openat2", dirfd, first(path), at.small, 24);
        if (result >= 0) return result;
        if (result !== -EAGAIN || tries >= 64) throw new LinuxError("openat2", -result, path);
      }
    },
    close: (fd) => void call("close", undefined, fd),
    dup: (fd) => call("dup", undefined, fd),
    read(fd, into, start = 0, end = into.length) {
      if (end <= start) return 0;
      return call("read", undefined, fd, ptr(into) + start, Math.min(end, into.length) - start);
    },
    pread: (fd, into, offset) =>
      into.length === 0 ? 0 : call("pread64", undefined, fd, ptr(into), into.length, offset),
    write(fd, bytes, length = bytes.length) {
      for (let done = 0; done < length; ) {
        done += call("write", undefined, fd, ptr(bytes) + done, length - done);
      }
    },
    lseek: (fd, offset, whence) => call("lseek", undefined, fd, offset, whence),
    ftruncate: (fd, size) => void call("ftruncate", undefined, fd, size),
    preallocate(fd, size) {
      const FALLOC_FL_KEEP_SIZE = 1;
      const result = attempt("fallocate", fd, FALLOC_FL_KEEP_SIZE, 0, size);
      if (result < 0 && result !== -EOPNOTSUPP) throw new LinuxError("fallocate", -result);
    },
    fsync: (fd) => void call("fsync", undefined, fd),
    syncfs: (fd) => void call("syncfs", undefined, fd),
    copyFileRange: (from, to, length) => call("copy_file_range", undefined, from, 0, to, 0, length),
    reflink(from, to) {
      const result = attempt("ioctl", to, FICLONE, from);
      if (result === 0) return true;
      if (result === -EOPNOTSUPP || result === -EXDEV || result === -EINVAL || result === -ENOTTY) return false;
      throw new LinuxError("ioctl FICLONE", -result);
    },
    spreadSubdirectories(fd) {
      let result = attempt("ioctl", fd, FS_IOC_GETFLAGS, at.small);
      if (result === 0) {
        smallView.setInt32(0, smallView.getInt32(0, true) | FS_TOPDIR_FL, true);
        result = attempt("ioctl", fd, FS_IOC_SETFLAGS, at.small);
      }
      if (result === 0) return true;
      if (result === -EOPNOTSUPP || result === -EINVAL || result === -ENOTTY || result === -EPERM) return false;
      throw new LinuxError("ioctl FS_IOC_SETFLAGS", -result);
    },

    statat(dirfd, path) {
      const result = statx(dirfd, path);
      if (result < 0) throw new LinuxError("statx", -result, path);
      return decodeStat();
    },
    statatOrUndefined(dirfd, path) {
      const result = statx(dirfd, path);
      if (result === -ENOENT) return undefined;
      if (result < 0) throw new LinuxError("statx", -result, path);
      return decodeStat();
    },
    readdir,
    readdirStats,
    scanStats,
    readlinkat(dirfd, path) {
      const length = call("readlinkat", path, dirfd, first(path), at.text, text.length);
      return decodePath(text.subarray(0, length));
    },
    mkdirat: (dirfd, path, mode) => void call("mkdirat", path, dirfd, first(path), mode),
    mknodat: (dirfd, path, mode, major, minor) =>
      void call("mknodat", path, dirfd, first(path), mode, makedev(major, minor)),
    symlinkat: (target, dirfd, path) => void call("symlinkat", path, first(target), dirfd, second(path)),
    linkat: (fromDirfd, fromPath, toDirfd, toPath, follow) =>
      void call(
        "linkat",
        toPath,
        fromDirfd,
        first(fromPath),
        toDirfd,
        second(toPath),
        follow === true ? AT_SYMLINK_FOLLOW : 0,
      ),
    unlinkat: (dirfd, path, directory) =>
      void call("unlinkat", path, dirfd, first(path), directory === true ? AT_REMOVEDIR : 0),
    renameat2: (fromDirfd, fromPath, toDirfd, toPath, flags = 0) =>
      void call("renameat2", toPath, fromDirfd, first(fromPath), toDirfd, second(toPath), flags),
    fchownat: (dirfd, path, uid, gid) =>
      void call(
        "fchownat",
        path,
        dirfd,
        first(path),
        uid,
        gid,
        AT_SYMLINK_NOFOLLOW | (path === "" ? AT_EMPTY_PATH : 0),
      ),
    fchmod: (fd, mode) => void call("fchmod", undefined, fd, mode),
    fchmodat: (dirfd, path, mode) => void call("fchmodat", path, dirfd, first(path), mode),
    utimensat(dirfd, path, time) {
      for (let offset = 0; offset <= 16; offset += 16) {
        smallView.setUint32(offset, time.sec, true); // modulo 2^32
        smallView.setInt32(offset + 4, Math.floor(time.sec / 0x1_0000_0000), true);
        smallView.setUint32(offset + 8, time.nsec, true);
        smallView.setUint32(offset + 12, 0, true);
      }
      if (path === "") call("utimensat", path, dirfd, 0, at.small, 0);
      else call("utimensat", path, dirfd, first(path), at.small, AT_SYMLINK_NOFOLLOW);
    },

    xattrs(dirfd, path) {
      const name = path === "" ? "listxattr" : "llistxattr";
      let length = path === "" ? attempt("flistxattr", dirfd, at.text, text.length) : -EBADF;
      if (length === -EBADF) length = attempt(name, first(viaProc(dirfd, path)), at.text, text.length);
      if (length === -EOPNOTSUPP || length === 0) return noAttributes;
      if (length < 0) throw new LinuxError(name, -length, path);
      const names = decodePath(text.subarray(0, length - 1)).split("\0");
      const found: [string, Uint8Array][] = [];
      for (const each of names.sort()) {
        const value = getxattr(dirfd, path, each);
        if (value !== undefined) found.push([each, value]);
      }
      return found;
    },
    getxattr,
    setxattr(dirfd, path, name, value) {
      const given = value.length === 0 ? new Uint8Array(1) : value;
      if (path === "") {
        const direct = attempt("fsetxattr", dirfd, second(name), ptr(given), value.length, 0);
        if (direct >= 0) return;
        if (direct !== -EBADF) throw new LinuxError("fsetxattr", -direct, name);
      }
      const which = path === "" ? "setxattr" : "lsetxattr";
      call(which, path, first(viaProc(dirfd, path)), second(name), ptr(given), value.length, 0);
    },
    removexattr(dirfd, path, name) {
      const which = path === "" ? "removexattr" : "lremovexattr";
      const result = attempt(which, first(viaProc(dirfd, path)), second(name));
      if (result < 0 && result !== -ENODATA) throw new LinuxError(which, -result, path);
    },
    overlayAttributes() {
      own ??= mayWriteTrusted() ? "trusted.overlay." : "user.overlay.";
      return own;
    },

    flock(fd, operation) {
      const result = attempt("flock", fd, operation);
      if (result >= 0) return true;
      if (result === -EAGAIN && (operation & LOCK_NB) !== 0) return false;
      throw new LinuxError("flock", -result);
    },

    mount(source, target, type, flags, data) {
      // The kernel reads a page of options and leaves out the rest without a word.
      if (data !== undefined && encodePath(data).length > MOUNT_DATA_BYTES)
        throw new LinuxError("mount", E2BIG, target);
      const typeBytes = Buffer.from(`${type}\0`);
      call(
        "mount",
        target,
        first(source),
        second(target),
        ptr(typeBytes),
        flags,
        data === undefined ? 0 : optionText(data),
      );
    },
    umount: (target, flags = 0) => void call("umount2", target, first(target), flags),
    fsopen: (type) => call("fsopen", type, first(type), FSOPEN_CLOEXEC),
    fsconfigString: (fsfd, key, value) =>
      void call("fsconfig", `${key}=${value}`, fsfd, FSCONFIG_SET_STRING, first(key), optionText(value), 0),
    fsconfigFlag: (fsfd, key) => void call("fsconfig", key, fsfd, FSCONFIG_SET_FLAG, first(key), 0, 0),
    fsconfigCreate: (fsfd) => void call("fsconfig", undefined, fsfd, FSCONFIG_CMD_CREATE, 0, 0, 0),
    fsMessages(fsfd) {
      const lines: string[] = [];
      for (;;) {
        const length = attempt("read", fsfd, at.text, text.length);
        if (length <= 0) return lines.join("\n");
        lines.push(decodePath(text.subarray(0, length)).trimEnd());
      }
    },
    fsmount: (fsfd, attributes) => call("fsmount", undefined, fsfd, FSMOUNT_CLOEXEC, attributes),
    moveMount: (mountfd, target) =>
      void call("move_mount", target, mountfd, first(""), AT_FDCWD, second(target), MOVE_MOUNT_F_EMPTY_PATH),
    openTree: (dirfd, path, recursive) =>
      call(
        "open_tree",
        path,
        dirfd,
        first(path),
        OPEN_TREE_CLONE |
          OPEN_TREE_CLOEXEC |
          (recursive === true ? AT_RECURSIVE : 0) |
          (path === "" ? AT_EMPTY_PATH : 0),
      ),
    unshare: (flags) => void call("unshare", undefined, flags),
    setns: (fd, flags) => void call("setns", undefined, fd, flags),

    aside(calls) {
      const { asideRunner } = require("./aside.ts") as typeof import("./aside.ts"); // for plain users' networks alone
      runAside ??= asideRunner(attempt, numbers, (bytes) => {
        const fd = call("memfd_create", "aside", first("aside"), MFD_CLOEXEC);
        call("write", "aside", fd, ptr(bytes), bytes.length);
        return fd;
      });
      const results = runAside(calls);
      const failed = calls.findIndex(({ name }, at) => name !== "openat" && (results[at] as number) < 0);
      if (failed < 0) return results;
      for (const [at, { name }] of calls.entries())
        if ((name === "openat" || name === "socket") && (results[at] as number) >= 0)
          attempt("close", results[at] as number);
      throw new LinuxError(calls[failed]?.name ?? "aside", -(results[failed] as number));
    },

    connectSeqpacket(path) {
      const AF_UNIX = 1;
      const SOCK_SEQPACKET = 5;
      // sun_path holds 107 bytes; a longer path is reached through a descriptor of the socket's own.
      const handle = openat(AT_FDCWD, path, O_PATH);
      let fd = -1;
      try {
        fd = call("socket", path, AF_UNIX, SOCK_SEQPACKET | O_CLOEXEC, 0);
        const name = encodePath(`/proc/self/fd/${handle}`);
        small.fill(0, 0, 110);
        smallView.setUint16(0, AF_UNIX, true);
        small.set(name, 2);
        call("connect", path, fd, at.small, 2 + name.length + 1);
        return fd;
      } catch (error) {
        if (fd >= 0) attempt("close", fd);
        throw error;
      } finally {
        attempt("close", handle);
      }
    },
    netlinkSocket(protocol) {
      const AF_NETLINK = 16;
      const SOCK_RAW = 3;
      return call("socket", undefined, AF_NETLINK, SOCK_RAW | O_CLOEXEC, protocol);
    },
    connectDatagrams(fd, address, port) {
      call("connect", undefined, fd, at.small, socketAddress(address, port));
    },
    holdPort(protocol, address, port, { serve = false } = {}) {
      const [SOCK_STREAM, SOCK_DGRAM] = [1, 2];
      const [SOL_SOCKET, SO_REUSEADDR, IPPROTO_IPV6, IPV6_V6ONLY] = [1, 2, 41, 26];
      const six = address.length === 16;
      const length = six ? 28 : 16;
      const fd = call(
        "socket",
        undefined,
        six ? AF_INET6 : AF_INET,
        (protocol === "tcp" ? SOCK_STREAM : SOCK_DGRAM) | O_CLOEXEC,
        0,
      );
      try {
        smallView.setInt32(0, 1, true);
        // What a server has left in TIME_WAIT is in nobody's way; of datagram sockets several could have the port by it.
        // IPv6's loopback leads to no container, so nothing may listen there: who connects is refused at once, and tries IPv4.
        const listens = protocol === "tcp" && (!six || serve);
        if (listens) call("setsockopt", undefined, fd, SOL_SOCKET, SO_REUSEADDR, at.small, 4);
        if (six) call("setsockopt", undefined, fd, IPPROTO_IPV6, IPV6_V6ONLY, at.small, 4);
        socketAddress(address, port);
        call("bind", undefined, fd, at.small, length);
        // Two sockets that may share an address can be bound to it, but not listen on it.
        if (listens) call("listen", undefined, fd, serve ? 4096 : 1);
        smallView.setUint32(64, length, true);
        call("getsockname", undefined, fd, at.small, at.small + 64);
        return { fd, port: smallView.getUint16(2) };
      } catch (error) {
        attempt("close", fd);
        throw error;
      }
    },
    exit(code) {
      attempt("exit_group", code);
      throw new Error("exit_group came back");
    },
    isTerminal: (fd) => attempt("ioctl", fd, TCGETS, at.small) === 0,
    openTerminal() {
      const own = openat(AT_FDCWD, "/dev/ptmx", O_RDWR | O_NOCTTY);
      try {
        smallView.setInt32(0, 0, true); // unlocked
        call("ioctl", undefined, own, TIOCSPTLCK, at.small);
        return { own, theirs: call("ioctl", undefined, own, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC) };
      } catch (error) {
        attempt("close", own);
        throw error;
      }
    },
    getWindowSize(fd) {
      call("ioctl", undefined, fd, TIOCGWINSZ, at.small);
      return { rows: smallView.getUint16(0, true), columns: smallView.getUint16(2, true) };
    },
    setWindowSize(fd, { rows, columns }) {
      smallView.setUint16(0, rows, true);
      smallView.setUint16(2, columns, true);
      smallView.setUint32(4, 0, true); // pixels
      call("ioctl", undefined, fd, TIOCSWINSZ, at.small);
    },
    pipe(cloexec = true) {
      call("pipe2", undefined, at.small, cloexec ? O_CLOEXEC : 0);
      return [smallView.getInt32(0, true), smallView.getInt32(4, true)];
    },
    memfdCreate: (name) => call("memfd_create", undefined, first(name), MFD_CLOEXEC | MFD_ALLOW_SEALING),
    sendfile: (to, from, count) => call("sendfile", undefined, to, from, 0, count),
    addSeals: (fd) => void call("fcntl", undefined, fd, F_ADD_SEALS, F_ALL_SEALS),
    mkfifo: (path, mode) => void call("mknodat", path, AT_FDCWD, first(path), S_IFIFO | mode, 0),
  };
}

function emptyStat(): Stat {
  return {
    mode: 0,
    nlink: 0,
    uid: 0,
    gid: 0,
    ino: 0,
    size: 0,
    blocks: 0,
    ctimeSec: 0,
    ctimeNsec: 0,
    mtimeSec: 0,
    mtimeNsec: 0,
    rdevMajor: 0,
    rdevMinor: 0,
    dev: 0,
  };
}

/** xattr(7): CAP_SYS_ADMIN in the first user namespace. */
function mayWriteTrusted(): boolean {
  if (inUserNamespace()) return false;
  const CAP_SYS_ADMIN = 21n;
  const mask = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0";
  return ((BigInt(`0x${mask}`) >> CAP_SYS_ADMIN) & 1n) === 1n;
}

/** The kernel's encoding of a device number for mknod(2), 32 bits wide. */
function makedev(major: number, minor: number): number {
  return ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & ~0xff) << 12)) >>> 0;
}

function unsigned64(view: DataView, offset: number): number {
  return view.getUint32(offset, true) + view.getUint32(offset + 4, true) * 0x1_0000_0000;
}

function signed64(view: DataView, offset: number): number {
  return view.getUint32(offset, true) + view.getInt32(offset + 4, true) * 0x1_0000_0000;
}
