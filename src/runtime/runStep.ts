import { writeFileSync, mkdirSync, readFileSync } from "node:fs";
import type { Linux } from "../linux/Linux.ts";
import { unmappedOwner } from "../layer/unmappedOwner.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { containerEnvironment } from "./containerEnvironment.ts";
import type { MountNamespace } from "./MountNamespace.ts";
import { makeDirectories, makeMountStubs, mountTargets, removeMountStubs } from "./mountStubs.ts";
import { stepNetworkFiles } from "./networkFiles.ts";
import { containerCapabilities, ownCapabilities } from "./capabilities.ts";
import { followWindowSize } from "./followWindowSize.ts";
import { ownedName } from "./ownedName.ts";
import { resolveUser } from "./resolveUser.ts";
import type { Runtime } from "./Runtime.ts";
import { canLeaveOutCgroups, runtimeGlobals } from "./runtimeCommand.ts";
import { runtimeFailure } from "./runtimeFailure.ts";
import { compiledSeccomp, uncompiledSeccomp } from "./compiledSeccomp.ts";
import type { SeccompOptions } from "./seccompOptions.ts";
import type { Rlimit } from "./rlimits.ts";
import { DEFAULT_SHM_SIZE, rootlessSpec, runtimeSpec, specText, type SpecMount } from "./spec.ts";

/** The name of the machine in a RUN step where nobody chose one, BuildKit's. */
const HOSTNAME = "buildkitsandbox";

/** A network namespace that is there, and what the step's files say of it. The caller closes it. */
export interface StepNetwork {
  path: string;
  /** What `host-gateway` means in it. */
  hostGateway?: string;
  resolvConf: string;
}

/** Descriptors of the user's terminal. */
export interface Terminal {
  input: number;
  output: number;
}

export interface RunStepOptions {
  linux: Linux;
  runtime: Runtime;
  /** From `enterMountNamespace(linux, runtime)`, once per process. */
  namespace: MountNamespace;
  /** An existing directory for this step alone (from a lease): the mount point and the runtime's files are made in it. */
  directory: string;
  /** The writable root file system: a detached mount, which the step attaches. The caller closes the descriptor. */
  rootfs: number;
  process: {
    args: string[];
    /** Complete but for PATH and HOME, which are added where missing. */
    env: string[];
    /** Absolute; made where missing. */
    cwd: string;
    /** As USER says; "" is root. */
    user: string;
  };
  mounts: SpecMount[];
  /** `default` is the host's. */
  network: "default" | "host" | "none" | StepNetwork;
  /** `name:address`. */
  hosts: string[];
  /** The name of the machine. */
  hostname?: string;
  /** Bytes of /dev/shm. */
  shmSize?: number;
  rlimits?: Rlimit[];
  /** `insecure`: as a privileged container. */
  security: "sandbox" | "insecure";
  /** Hears the output as it comes, 1 for stdout, 2 for stderr. */
  logs: (stream: 1 | 2, bytes: Uint8Array) => void;
  /** The process gets a pseudo-terminal of its own that the runtime joins to this one, sizes included; `logs` hears nothing then. */
  terminal?: Terminal;
  signal?: AbortSignal;
}

/**
 * Runs one process in the root file system and resolves with its exit code (128+n where signal n ended it), when the process and
 * all its children are gone and the mount is taken away. What was written is in the overlay's upper directory, without the
 * empty files that only had to be there to be mounted on. An abort kills all of them at once and rejects with the signal's reason.
 * @throws SlipwayError `EXECUTABLE_NOT_FOUND` (exit code 127), `NOT_EXECUTABLE` (126), `USER_NOT_FOUND`, `GROUP_NOT_FOUND`,
 * `RUNTIME_FAILED`
 */
export async function runStep(options: RunStepOptions): Promise<number> {
  const { linux, runtime, directory, signal } = options;
  signal?.throwIfAborted();
  const terminal = options.terminal !== undefined;
  const user = resolveUser(linux, options.rootfs, options.process.user);
  const unmapped = unmappedOwner(user.uid, user.gid);
  if (unmapped !== undefined) throw unmapped;
  makeDirectories(linux, options.rootfs, options.process.cwd);

  const hostname = options.hostname ?? HOSTNAME;
  const own = typeof options.network === "object" ? options.network : undefined;
  const gateway = own?.hostGateway === undefined ? {} : { hostGateway: own.hostGateway };
  const files = stepNetworkFiles({ hostname, addHosts: options.hosts, ...gateway });
  writeFileSync(`${directory}/hosts`, files.hosts);
  writeFileSync(`${directory}/resolv.conf`, own?.resolvConf ?? files.resolvConf);
  // Read-only, as BuildKit's: what a step wrote there would be lost without a word.
  const mounts: SpecMount[] = [
    { target: "/etc/hosts", type: "bind", source: `${directory}/hosts`, readOnly: true },
    { target: "/etc/resolv.conf", type: "bind", source: `${directory}/resolv.conf`, readOnly: true },
    ...options.mounts,
  ];
  const stubs = makeMountStubs(linux, options.rootfs, mountTargets(mounts));

  const cgroups = !canLeaveOutCgroups(runtime);
  const privileged = options.security === "insecure";
  const capabilities = containerCapabilities({ add: [], drop: [], privileged, available: ownCapabilities() });
  const confinement: SeccompOptions = { arch: process.arch, capabilities, deviceCgroup: cgroups };
  const spec = runtimeSpec({
    process: {
      args: options.process.args,
      env: containerEnvironment({ env: options.process.env, terminal, home: user.home }),
      cwd: options.process.cwd,
      user: { uid: user.uid, gid: user.gid, additionalGids: user.additionalGids },
      terminal,
      ...consoleSize(options),
    },
    rootfs: `${directory}/rootfs`,
    readOnlyRoot: false,
    hostname,
    mounts,
    network: own ?? (options.network === "none" ? "none" : "host"),
    capabilities,
    privileged,
    seccomp: privileged ? undefined : (compiledSeccomp(runtime, confinement) ?? uncompiledSeccomp(confinement)),
    noNewPrivileges: false,
    shmSize: options.shmSize ?? DEFAULT_SHM_SIZE,
    rlimits: options.rlimits ?? [],
    cgroups,
    cgroupMount: true,
    ...rootlessSpec(),
  });
  writeFileSync(`${directory}/config.json`, specText(spec));
  mkdirSync(`${directory}/rootfs`, { recursive: true });
  options.namespace.attach(options.rootfs, `${directory}/rootfs`, { devices: privileged || cgroups });
  try {
    return await runToEnd(options, runtimeGlobals(runtime, cgroups));
  } finally {
    // Through the mount while it is attached or through its descriptor after: the same file system.
    removeMountStubs(linux, options.rootfs, stubs);
    options.namespace.detach(`${directory}/rootfs`);
  }
}

/** A terminal that does not know its size says 0. */
function consoleSize({ linux, terminal }: RunStepOptions): { consoleSize?: { height: number; width: number } } {
  if (terminal === undefined) return {};
  const { rows, columns } = linux.getWindowSize(terminal.input);
  return rows === 0 || columns === 0 ? {} : { consoleSize: { height: rows, width: columns } };
}

async function runToEnd(options: RunStepOptions, globals: string[]): Promise<number> {
  const { directory, runtime, signal, terminal } = options;
  const log = `${directory}/runtime.log`;
  const pidFile = `${directory}/pid`;
  const stdio: ["ignore" | number, "pipe" | number, "pipe" | number] =
    terminal === undefined ? ["ignore", "pipe", "pipe"] : [terminal.input, terminal.output, terminal.output];
  const child = Bun.spawn(
    [
      runtime.program,
      ...globals,
      "--log",
      log,
      "--log-format",
      "json",
      "run",
      "--bundle",
      directory,
      "--pid-file",
      pidFile,
      ownedName("step"),
    ],
    { cwd: directory, stdio },
  );
  let ended = false;
  const unfollow =
    terminal === undefined
      ? () => {}
      : followWindowSize(options.linux, { terminal: terminal.input, pid: () => readPid(pidFile) });
  const kill = (): void => {
    // No pid yet: the runtime is still at it, for some milliseconds. It is asked again until it has one or has ended.
    if (ended || child.exitCode !== null || child.signalCode !== null) return;
    const pid = readPid(pidFile);
    if (pid !== undefined) killQuietly(pid);
    setTimeout(kill, pid === undefined ? 1 : 100);
  };
  signal?.addEventListener("abort", kill);
  try {
    const [code] = await Promise.all([
      child.exited,
      forward(child.stdout, (bytes) => options.logs(1, bytes)),
      forward(child.stderr, (bytes) => options.logs(2, bytes)),
    ]);
    signal?.throwIfAborted();
    if (code !== 0) {
      const failure = runtimeFailure(log, options.process.args);
      if (failure !== undefined) throw failure;
      if (child.signalCode !== null) {
        throw new SlipwayError("RUNTIME_FAILED", `${runtime.name} was ended by ${child.signalCode}`, { exitCode: 125 });
      }
    }
    return code;
  } finally {
    ended = true;
    unfollow();
    signal?.removeEventListener("abort", kill);
  }
}

async function forward(
  stream: ReadableStream<Uint8Array> | number | undefined,
  to: (bytes: Uint8Array) => void,
): Promise<void> {
  if (!(stream instanceof ReadableStream)) return; // a terminal of its own
  for await (const chunk of stream) to(chunk);
}

function readPid(path: string): number | undefined {
  try {
    const pid = Number(readFileSync(path, "utf8").trim());
    return pid > 0 ? pid : undefined;
  } catch {
    return undefined; // not written yet
  }
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // ended by itself just now
  }
}
