import type { AsideCall } from "./aside.ts";

/** What a file is, as statx(2) says. Times are whole seconds and nanoseconds, so that nothing is rounded. */
export interface Stat {
  /** Device of the file system: a number of its own per device. */
  dev: number;
  ino: number;
  /** Type and permission bits, `S_IFMT` included. */
  mode: number;
  nlink: number;
  uid: number;
  gid: number;
  /** Bytes. */
  size: number;
  /** 512-byte blocks in use. */
  blocks: number;
  /** For device nodes. */
  rdevMajor: number;
  rdevMinor: number;
  mtimeSec: number;
  mtimeNsec: number;
  ctimeSec: number;
  ctimeNsec: number;
}

export interface DirEntry {
  name: string;
  /** `S_IFMT` bits, or 0 where the file system does not say. */
  type: number;
}

export interface StatEntry {
  name: string;
  stat: Stat;
}

export type FoundEntry = (bytes: Uint8Array, start: number, end: number, stat: Stat) => void;

export interface OpenHow {
  flags: number;
  mode?: number;
  /** `RESOLVE_*`. */
  resolve?: number;
}

/** Seconds and nanoseconds since the epoch; seconds may be negative. */
export interface Timespec {
  sec: number;
  nsec: number;
}

export interface WindowSize {
  rows: number;
  columns: number;
}

/**
 * The kernel, as far as the runtime's own library does not reach. Every call is synchronous and throws {@link LinuxError}.
 * Paths are strings of `decodePath` (see pathBytes.ts). `dirfd` may be `AT_FDCWD`. Descriptors are closed by the caller,
 * and are close-on-exec unless said. A call works on the calling thread only where the kernel says so (`unshare`, `setns`):
 * processes spawned from that thread inherit it, file calls on other threads do not.
 */
export interface Linux {
  openat(dirfd: number, path: string, flags: number, mode?: number): number;
  openat2(dirfd: number, path: string, how: OpenHow): number;
  close(fd: number): void;
  /** Not close-on-exec: a child that is spawned inherits it. */
  dup(fd: number): number;
  /** Reads into the bytes from `start` to `end`, all of them where these are not given. Returns how many it were; 0 at the end. */
  read(fd: number, into: Uint8Array, start?: number, end?: number): number;
  pread(fd: number, into: Uint8Array, offset: number): number;
  /** Writes all of `bytes`, or so many of them. */
  write(fd: number, bytes: Uint8Array, length?: number): void;
  lseek(fd: number, offset: number, whence: number): number;
  ftruncate(fd: number, size: number): void;
  /** Reserves room for `size` bytes without changing the file's size; does nothing where the file system cannot. */
  preallocate(fd: number, size: number): void;
  fsync(fd: number): void;
  /** Writes back the whole file system that `fd` lies on. */
  syncfs(fd: number): void;
  /** Copies up to `length` bytes inside the kernel from the descriptors' own offsets; returns how many. */
  copyFileRange(from: number, to: number, length: number): number;
  /** Shares the extents of `from` with `to` (FICLONE); false where the file system cannot. */
  reflink(from: number, to: number): boolean;
  /**
   * Says that the subdirectories made in the directory from now on have nothing to do with each other (FS_TOPDIR_FL, `chattr +T`): ext4 then
   * gives each a region of the disk of its own. False where the file system knows no such flag.
   */
  spreadSubdirectories(fd: number): boolean;

  /** Of the file itself, links not followed. `path` "" means `dirfd` itself. */
  statat(dirfd: number, path: string): Stat;
  /** The same, undefined where nothing is there. */
  statatOrUndefined(dirfd: number, path: string): Stat | undefined;
  /** All entries of the directory but `.` and `..`, in no order. `dirfd`'s offset is rewound first. */
  readdir(dirfd: number): DirEntry[];
  /**
   * The same with what each file is, links not followed. Names that `wanted` refuses (it must not call the kernel) and what is removed
   * meanwhile are left out.
   */
  readdirStats(dirfd: number, wanted?: (name: string) => boolean): StatEntry[];
  /** The same for many files: what `found` hears, a name's bytes from `start` to `end` and the stat, is only lent until it returns. It must not call the kernel. */
  scanStats(dirfd: number, found: FoundEntry, wanted?: (name: string) => boolean): void;
  readlinkat(dirfd: number, path: string): string;
  mkdirat(dirfd: number, path: string, mode: number): void;
  mknodat(dirfd: number, path: string, mode: number, major: number, minor: number): void;
  symlinkat(target: string, dirfd: number, path: string): void;
  /** A link at the end of `fromPath` is followed only with `follow`: how a file without a name (`O_TMPFILE`) gets one by /proc/self/fd. */
  linkat(fromDirfd: number, fromPath: string, toDirfd: number, toPath: string, follow?: boolean): void;
  /** `directory` for rmdir. */
  unlinkat(dirfd: number, path: string, directory?: boolean): void;
  renameat2(fromDirfd: number, fromPath: string, toDirfd: number, toPath: string, flags?: number): void;
  /** Links not followed. `path` "" means `dirfd` itself. */
  fchownat(dirfd: number, path: string, uid: number, gid: number): void;
  fchmod(fd: number, mode: number): void;
  /** Follows a link at the end: call it only on what is known to be none. */
  fchmodat(dirfd: number, path: string, mode: number): void;
  /** Sets the modification and access time; links not followed. `path` "" means the open file `dirfd`. */
  utimensat(dirfd: number, path: string, time: Timespec): void;

  /** Extended attributes of `path` under `dirfd`, links not followed; `path` "" means `dirfd` itself. Sorted by name. */
  xattrs(dirfd: number, path: string): [name: string, value: Uint8Array][];
  getxattr(dirfd: number, path: string, name: string): Uint8Array | undefined;
  setxattr(dirfd: number, path: string, name: string, value: Uint8Array): void;
  /** Idempotent. */
  removexattr(dirfd: number, path: string, name: string): void;
  /** What the names of overlayfs's own attributes begin with: only the machine's root may write `trusted` ones. */
  overlayAttributes(): "trusted.overlay." | "user.overlay.";

  /** False where `LOCK_NB` was asked and another holds it. */
  flock(fd: number, operation: number): boolean;

  /** `data` of more than a page is refused (E2BIG), where the kernel would cut it short. */
  mount(source: string, target: string, type: string, flags: number, data?: string): void;
  umount(target: string, flags?: number): void;
  fsopen(type: string): number;
  fsconfigString(fsfd: number, key: string, value: string): void;
  fsconfigFlag(fsfd: number, key: string): void;
  fsconfigCreate(fsfd: number): void;
  /** What the file system said about the last failure on `fsfd`, one message a line. */
  fsMessages(fsfd: number): string;
  /** A detached mount (an O_PATH descriptor: `openat(fd, ".")` to list it): usable as a `dirfd` by every thread, gone when closed unless `moveMount` attached it. `attributes`: `MOUNT_ATTR_*`. */
  fsmount(fsfd: number, attributes: number): number;
  /** Attaches the mount `mountfd` at `target` in the calling thread's mount namespace. */
  moveMount(mountfd: number, target: string): void;
  /** A detached copy of the mount at `path`. */
  openTree(dirfd: number, path: string, recursive?: boolean): number;
  unshare(flags: number): void;
  setns(fd: number, flags: number): void;
  /**
   * Makes calls, eight at most, in a process of its own, which shares this one's memory and descriptors but not its namespaces: what it opens there
   * is ours, and no way back is needed, which a user's own namespaces do not have. Gives each call's result. A failed `openat` is its
   * errno, negative. @throws LinuxError of the first other call that failed; nothing is left open then
   */
  aside(calls: readonly AsideCall[]): number[];

  /** Connects a SOCK_SEQPACKET unix socket; `path` may be of any length. */
  connectSeqpacket(path: string): number;
  /** From now on `write` and `read` of the socket are datagrams to and from that port. `address` is 4 or 16 bytes. */
  connectDatagrams(fd: number, address: Uint8Array, port: number): void;
  /** A netlink(7) socket to the kernel of the calling thread's network namespace: a message per `write` and `read`. `protocol`: `NETLINK_*`. */
  netlinkSocket(protocol: number): number;
  /**
   * A socket that holds a port of the calling thread's network namespace as a server does, so that nobody else can have it, and serves
   * nobody; with `serve` one that a server is to take over, with callers waiting for it. `address` is 4 or 16 bytes. Port 0 takes a free one.
   * @throws LinuxError `EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES`
   */
  holdPort(
    protocol: "tcp" | "udp",
    address: Uint8Array,
    port: number,
    options?: { serve?: boolean },
  ): { fd: number; port: number };
  /** Ends the process at once (exit_group): nothing of the runtime's own is wound up. */
  exit(code: number): never;
  /** isatty(3). */
  isTerminal(fd: number): boolean;
  /** A pseudo-terminal, both ends closed on exec: what is written to `own` is typed at `theirs`. */
  openTerminal(): { own: number; theirs: number };
  getWindowSize(fd: number): WindowSize;
  /** Tells the processes on the terminal where it was another. */
  setWindowSize(fd: number, size: WindowSize): void;
  /** Both ends of a pipe, read end first. `cloexec` false lets a child inherit both. */
  pipe(cloexec?: boolean): [number, number];
  mkfifo(path: string, mode: number): void;
  /** A file in memory alone, which can be sealed; closed on exec. `name` shows in /proc. */
  memfdCreate(name: string): number;
  /** Copies up to `count` bytes from where `from` stands to where `to` stands, without a way through this process's memory; how many it were. */
  sendfile(to: number, from: number, count: number): number;
  /** From now on nobody can change the memory file in any way. */
  addSeals(fd: number): void;
}
