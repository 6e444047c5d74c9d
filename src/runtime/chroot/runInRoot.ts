import { mkdirSync, readFileSync, statSync } from "node:fs";
import { constants } from "node:os";
import { AT_FDCWD, O_NONBLOCK, O_RDONLY, O_WRONLY, SEEK_SET } from "../../linux/constants.ts";
import type { Linux } from "../../linux/Linux.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { CAPABILITIES, capabilitiesOfMask, containerCapabilities, ownCapabilities } from "../capabilities.ts";
import { type Output, output, outputPipe, spawnWith } from "../outputPipe.ts";
import type { ResolvedUser } from "../resolveUser.ts";
import { type Rlimit, UNLIMITED } from "../rlimits.ts";
import type { Terminal } from "../runStep.ts";
import { executableNotFound, notExecutable } from "../runtimeFailure.ts";
import { selfCommand } from "../selfCommand.ts";
import type { SpecMount } from "../spec.ts";
import { CHROOT_PROCESS, type ChrootFailure, type ChrootProcess } from "./ChrootProcess.ts";
import { copyIn } from "./copyIn.ts";
import { endProcesses } from "./endProcesses.ts";
import { makeDev, makeProc } from "./kernelFiles.ts";
import { createPlaces, type Places } from "./places.ts";
import { unavailable } from "./unavailable.ts";

/** With them a process could leave its root, or make a node of a disk. */
const WITHHELD = new Set(["CAP_SYS_CHROOT", "CAP_MKNOD", "CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"]);

/** resource.h, by what follows RLIMIT_. */
const LIMITS =
  "CPU FSIZE DATA STACK CORE RSS NPROC NOFILE MEMLOCK AS LOCKS SIGPENDING MSGQUEUE NICE RTPRIO RTTIME".split(" ");

export interface RootProcess {
  linux: Linux;
  /** An existing directory for this process alone, on the file system of `root`. */
  directory: string;
  /** The root file system: a directory that nobody else works in meanwhile. */
  root: string;
  /** `env` is all that it gets; `cwd` is there. */
  process: { args: string[]; env: string[]; cwd: string };
  user: ResolvedUser;
  mounts: SpecMount[];
  /** By {@link rootCapabilities}. */
  capabilities: string[];
  rlimits: readonly Rlimit[];
  logs: (stream: 1 | 2, bytes: Uint8Array) => void;
  /** Standard input; none where it is not given. */
  input?: number;
  /** The process is on this terminal, and `logs` hears nothing. */
  terminal?: Terminal;
  signal?: AbortSignal;
}

/** As `containerCapabilities`, of those that this process has itself, without what leads out of a root. */
export function rootCapabilities(options: { add: string[]; drop: string[] }): string[] {
  const status = readFileSync("/proc/self/status", "utf8");
  const permitted = capabilitiesOfMask(/^CapPrm:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0");
  const available = ownCapabilities(status).filter((name) => permitted.includes(name) && !WITHHELD.has(name));
  return containerCapabilities({ ...options, privileged: false, available });
}

/**
 * Runs one process in another root by chroot(2), for who may make neither namespaces nor mounts, and resolves with its exit code (128+n where signal n
 * ended it). Its user is what it should be; it has no capability to leave the root and none of our descriptors. What others mount is put into the root
 * meanwhile and taken out again. Network, host name and process ids are ours. All processes in the root are gone when it resolves, or rejects by an abort.
 * @throws SlipwayError `ISOLATION_UNAVAILABLE`, `EXECUTABLE_NOT_FOUND`, `NOT_EXECUTABLE`, `RUNTIME_FAILED`
 */
export async function runInRoot(options: RootProcess): Promise<number> {
  const { linux, directory, root, user, rlimits } = options;
  const terminal = options.terminal !== undefined;
  for (const { type } of rlimits) if (limitNumber(type) < 0) throw unavailable(`the limit ${type}`);
  const aside = `${directory}/aside`;
  mkdirSync(aside, { mode: 0o700 });
  const places = createPlaces(linux, { root, aside });
  try {
    putKernelFiles(linux, places, { terminal, taken: new Set(options.mounts.map(({ target }) => target)) });
    for (const mount of options.mounts) putMount(linux, places, mount);
    const { args, env, cwd } = options.process;
    const spec: ChrootProcess = {
      root,
      cwd,
      args,
      candidates: candidates(args[0] ?? "", env),
      env,
      uid: user.uid,
      gid: user.gid,
      groups: user.additionalGids,
      capabilities: options.capabilities.map((name) => CAPABILITIES.indexOf(name)),
      limits: rlimits.map(({ type, soft, hard }) => [
        limitNumber(type),
        soft === UNLIMITED ? -1 : soft,
        hard === UNLIMITED ? -1 : hard,
      ]),
      umask: 0o022,
      ownSession: !terminal,
    };
    options.signal?.throwIfAborted();
    return await runToEnd(options, spec);
  } finally {
    await endProcesses(root);
    places.restore();
  }
}

function limitNumber(type: string): number {
  return LIMITS.indexOf(type.replace("RLIMIT_", ""));
}

function putKernelFiles(
  linux: Linux,
  places: Places,
  { terminal, taken }: { terminal: boolean; taken: ReadonlySet<string> },
): void {
  const put = (path: string, make: (parent: number, name: string) => void): void => {
    if (!taken.has(path)) places.put({ path, directory: true }, make);
  };
  put("/proc", (parent, name) => makeProc(linux, parent, name));
  put("/dev", (parent, name) => void makeDev(linux, parent, name, { terminal }));
  put("/sys", (parent, name) => linux.mkdirat(parent, name, 0o555));
}

function putMount(linux: Linux, places: Places, mount: SpecMount): void {
  const { target, source } = mount;
  if (mount.type === "tmpfs") {
    const { mode = "1777", ...rest } = Object.fromEntries((mount.options ?? []).map((each) => each.split("=")));
    if (rest.size !== undefined) throw unavailable(`a tmpfs of a limited size at ${target}`);
    places.put({ path: target, directory: true }, (parent, name) => {
      linux.mkdirat(parent, name, 0o700);
      linux.fchmodat(parent, name, Number.parseInt(mode, 8));
    });
    return;
  }
  if (source === undefined) throw new Error("a bind has a source");
  const place = { path: target, directory: statSync(source).isDirectory() };
  if (mount.own === "lent") {
    places.put(place, (parent, name) => moveIn(linux, source, parent, name), { back: source });
  } else if (mount.own === "given") places.put(place, (parent, name) => moveIn(linux, source, parent, name));
  else places.put(place, (parent, name) => copyIn(linux, source, parent, name));
}

function moveIn(linux: Linux, source: string, parent: number, name: string): void {
  linux.renameat2(AT_FDCWD, source, parent, name);
}

async function runToEnd(options: RootProcess, spec: ChrootProcess): Promise<number> {
  const { linux, root, signal, terminal, logs } = options;
  // In memory alone: the environment may have secrets.
  const described = linux.memfdCreate("process");
  linux.write(described, Buffer.from(JSON.stringify(spec)));
  linux.lseek(described, 0, SEEK_SET);
  const said: Uint8Array[] = [];
  const report = outputPipe(linux, (bytes) => void said.push(bytes));
  const outputs = terminal === undefined ? openOutputs(linux, root, logs) : [];
  const stdio = [
    terminal?.input ?? options.input ?? "ignore",
    outputs[0]?.write ?? terminal?.output,
    outputs[1]?.write ?? terminal?.output,
    report.write,
    described,
  ];
  const description = { given: () => linux.close(described) };
  const child = spawnWith([report, description], () =>
    Bun.spawn(selfCommand([CHROOT_PROCESS]), { cwd: "/", env: {}, stdio: stdio as ["ignore", number, number] }),
  );
  const kill = (): void => {
    child.kill("SIGKILL");
    void endProcesses(root);
  };
  signal?.addEventListener("abort", kill);
  try {
    const code = await child.exited;
    await endProcesses(root);
    // Ours is kept until now: /dev has the pipes as well, and one without a writer looks like one at its end.
    for (const each of outputs) each.given();
    await Promise.all(outputs.map(({ heard }) => heard));
    signal?.throwIfAborted();
    await report.heard;
    if (said.length > 0) throw failure(JSON.parse(Buffer.concat(said).toString()) as ChrootFailure, options);
    if (child.signalCode !== null) return 128 + (constants.signals[child.signalCode as NodeJS.Signals] ?? 0);
    return code;
  } finally {
    signal?.removeEventListener("abort", kill);
    for (const each of outputs) each.given();
  }
}

/** The pipes of /dev/stdout and /dev/stderr are the process's own, so that a program that opens them by name does what it does elsewhere. */
function openOutputs(linux: Linux, root: string, logs: RootProcess["logs"]): [Output, Output] {
  const open = (name: string, stream: 1 | 2): Output => {
    const path = `${root}/dev/${name}`;
    const read = linux.openat(AT_FDCWD, path, O_RDONLY | O_NONBLOCK);
    return output(linux, { read, write: linux.openat(AT_FDCWD, path, O_WRONLY) }, (bytes) => logs(stream, bytes));
  };
  return [open("stdout", 1), open("stderr", 2)];
}

/** As execvp(3) looks for it, in the environment that the program gets. */
function candidates(program: string, env: readonly string[]): string[] {
  if (program.includes("/")) return [program];
  const path = env.findLast((entry) => entry.startsWith("PATH="))?.slice("PATH=".length) ?? "";
  return path.split(":").map((directory) => `${directory || "."}/${program}`);
}

function failure({ syscall, code, message }: ChrootFailure, { process: { args } }: RootProcess): SlipwayError {
  if (syscall === "execve") {
    if (code === "ENOENT" || code === "ENOTDIR") return executableNotFound(args);
    if (code === "EACCES" || code === "EPERM") return notExecutable(args, "permission denied");
    if (code === "ENOEXEC") return notExecutable(args, "exec format error");
    if (code === "EISDIR") return notExecutable(args, "is a directory");
  }
  if (syscall === "prlimit64" && code === "EPERM") return unavailable("a limit above our own", 125);
  return new SlipwayError("RUNTIME_FAILED", `the process could not be started: ${message}`, { exitCode: 125 });
}
