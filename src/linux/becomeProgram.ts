import { dlopen, FFIType, ptr, read as readMemory } from "bun:ffi";
import { constants } from "node:os";
import { LinuxError } from "./LinuxError.ts";
import { encodePath } from "./pathBytes.ts";

/** What a process becomes, see {@link becomeProgram}. */
export interface ProgramSpec {
  /** Becomes `/`. */
  root: string;
  /** In the new root. */
  cwd: string;
  /** Paths in the new root, tried in order: the first that is there is executed. */
  candidates: string[];
  args: string[];
  /** `K=V` */
  env: string[];
  uid: number;
  gid: number;
  groups: number[];
  /** Numbers of the capabilities that it and its children may ever have; root has them at once. */
  capabilities: number[];
  /** resource, soft, hard: numbers of setrlimit(2), -1 for no limit. */
  limits: [resource: number, soft: number, hard: number][];
  umask: number;
  /** Leads a session of its own, so that the terminal of whoever started it is out of its reach. */
  ownSession: boolean;
}

const PR_SET_PDEATHSIG = 1;
const PR_CAPBSET_READ = 23;
const PR_CAPBSET_DROP = 24;
const PR_SET_NO_NEW_PRIVS = 38;
const PR_CAP_AMBIENT = 47;
const PR_CAP_AMBIENT_CLEAR_ALL = 4;
const LINUX_CAPABILITY_VERSION_3 = 0x20080522;
const CLOSE_RANGE_CLOEXEC = 4;
/** Capabilities have numbers below this in every kernel so far: bits of two words. */
const MOST_CAPABILITIES = 64;
const { ENOENT, ENOTDIR, EACCES, EPERM, EINVAL } = constants.errno;

/**
 * Changes the root of this process by chroot(2), gives up all that is not in `spec`, and executes the program in place of this one: same pid, and no
 * descriptors but 0, 1 and 2. Where the bounding set of capabilities cannot be made smaller, no program can raise its
 * privileges any more (no_new_privs), so that `capabilities` holds in any case. It is killed when the one that started it ends. Comes back only by throwing; the process is then to be ended, since half
 * of it may be done. @throws LinuxError `execve` where no candidate can be executed: what the last that is there came to, else `ENOENT`
 */
export function becomeProgram(spec: ProgramSpec): never {
  const word = FFIType.i64_fast;
  const text = FFIType.ptr;
  const libc = dlopen("libc.so.6", {
    syscall: { args: [word, word, word, word, word, word], returns: word },
    chroot: { args: [text], returns: FFIType.i32 },
    chdir: { args: [text], returns: FFIType.i32 },
    setsid: { args: [], returns: FFIType.i32 },
    umask: { args: [FFIType.u32], returns: FFIType.u32 },
    prctl: { args: [FFIType.i32, word, word, word, word], returns: FFIType.i32 },
    execve: { args: [text, text, text], returns: FFIType.i32 },
    __errno_location: { args: [], returns: FFIType.ptr },
  });
  const { symbols } = libc;
  const numbers = process.arch === "arm64" ? arm64 : x64;
  const errnoAt = symbols.__errno_location() as Parameters<typeof readMemory.i32>[0];
  /** What the kernel reads must not move or be freed before the end. */
  const kept: (Uint8Array | BigUint64Array)[] = [];
  const keep = <B extends Uint8Array | BigUint64Array>(bytes: B): B => {
    kept.push(bytes);
    return bytes;
  };
  const string = (value: string): Uint8Array => keep(Buffer.concat([encodePath(value), new Uint8Array(1)]));
  const strings = (values: readonly string[]): BigUint64Array =>
    keep(BigUint64Array.from([...values.map((value) => BigInt(ptr(string(value)))), 0n]));
  const check = (name: string, result: number | bigint, path?: string): void => {
    if (Number(result) < 0) throw new LinuxError(name, readMemory.i32(errnoAt, 0), path);
  };
  // Of the calling thread alone, which is the one that executes: libc's own would try it on every thread.
  const thread = (name: keyof typeof x64, ...words: number[]): void =>
    check(
      name,
      symbols.syscall(
        numbers[name],
        ...([...words, 0, 0, 0, 0, 0].slice(0, 5) as [number, number, number, number, number]),
      ),
    );

  if (spec.ownSession) symbols.setsid(); // fails only for who leads one already
  for (const [resource, soft, hard] of spec.limits) {
    const pair = keep(BigUint64Array.from([soft, hard].map((value) => BigInt.asUintN(64, BigInt(value)))));
    thread("prlimit64", 0, resource, ptr(pair), 0);
  }
  check("chroot", symbols.chroot(string(spec.root)), spec.root);
  check("chdir", symbols.chdir(string("/")), "/");
  check("chdir", symbols.chdir(string(spec.cwd)), spec.cwd);
  symbols.umask(spec.umask);

  const allowed = new Set(spec.capabilities);
  let isBounded = true;
  for (let number = 0; number < MOST_CAPABILITIES; number++) {
    if (allowed.has(number) || symbols.prctl(PR_CAPBSET_READ, number, 0, 0, 0) !== 1) continue;
    if (symbols.prctl(PR_CAPBSET_DROP, number, 0, 0, 0) === 0) continue;
    if (readMemory.i32(errnoAt, 0) !== EPERM) check("prctl", -1);
    isBounded = false;
  }
  if (symbols.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && readMemory.i32(errnoAt, 0) !== EINVAL)
    check("prctl", -1);
  const groups = keep(new Uint8Array(Uint32Array.from(spec.groups).buffer));
  thread("setgroups", spec.groups.length, spec.groups.length === 0 ? 0 : ptr(groups));
  thread("setresgid", spec.gid, spec.gid, spec.gid);
  thread("setresuid", spec.uid, spec.uid, spec.uid); // who becomes another than root loses all capabilities by it
  if (spec.uid === 0) {
    const mask = spec.capabilities.reduce((bits, number) => bits | (1n << BigInt(number)), 0n);
    const [low, high] = [Number(mask & 0xffffffffn), Number(mask >> 32n)];
    const header = keep(new Uint8Array(Uint32Array.of(LINUX_CAPABILITY_VERSION_3, 0).buffer));
    // effective, permitted, inheritable; first of numbers below 32, then of those above.
    const sets = keep(new Uint8Array(Uint32Array.of(low, low, 0, high, high, 0).buffer));
    thread("capset", ptr(header), ptr(sets));
  }
  if (!isBounded) check("prctl", symbols.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));

  // A change of user would take it back.
  check("prctl", symbols.prctl(PR_SET_PDEATHSIG, constants.signals.SIGKILL, 0, 0, 0));

  const argv = strings(spec.args);
  const envp = strings(spec.env);
  thread("close_range", 3, 0x7fffffff, CLOSE_RANGE_CLOEXEC);
  let failure = new LinuxError("execve", ENOENT, spec.args[0]);
  for (const candidate of spec.candidates) {
    symbols.execve(string(candidate), argv, envp);
    const code = readMemory.i32(errnoAt, 0);
    const isThere = code !== ENOENT && code !== ENOTDIR;
    if (isThere) failure = new LinuxError("execve", code, candidate);
    if (isThere && code !== EACCES) break; // execvp(3)
  }
  throw failure;
}

const x64 = { setresuid: 117, setresgid: 119, setgroups: 116, capset: 126, prlimit64: 302, close_range: 436 };
const arm64: typeof x64 = {
  setresuid: 147,
  setresgid: 149,
  setgroups: 159,
  capset: 91,
  prlimit64: 261,
  close_range: 436,
};
