import { writeFileSync, mkdirSync, readFileSync } from "node:fs";
import type { Linux } from "../linux/Linux.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { containerEnvironment } from "./containerEnvironment.ts";
import { makeMountStubs, mountTargets, removeMountStubs } from "./mountStubs.ts";
import { containerCapabilities, ownCapabilities } from "./capabilities.ts";
import { followWindowSize } from "./followWindowSize.ts";
import { type Output, outputPipe, spawnWith } from "./outputPipe.ts";
import { ownedName } from "./ownedName.ts";
import type { Runtime } from "./Runtime.ts";
import { canLeaveOutCgroups, runtimeGlobals } from "./runtimeCommand.ts";
import { runtimeFailure } from "./runtimeFailure.ts";
import { compiledSeccomp, uncompiledSeccomp } from "./compiledSeccomp.ts";
import type { SeccompOptions } from "./seccompOptions.ts";
import type { Sandbox } from "./Sandbox.ts";
import { stepSetup } from "./stepSetup.ts";
import type { Rlimit } from "./rlimits.ts";
import { DEFAULT_SHM_SIZE, rootlessSpec, runtimeSpec, specText, type SpecMount } from "./spec.ts";

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
  sandbox: Sandbox;
  /** An existing directory for this step alone (from a lease): the mount point and the runtime's files are made in it. */
  directory: string;
  /** The writable root file system: a detached mount, which the step attaches. The caller closes the descriptor. */
  rootfs: number;
  /** Where it lies, of one that is a plain directory and no mount: `chroot` works with such a one alone. */
  rootPath?: string;
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
  const { linux, sandbox, directory, signal } = options;
  signal?.throwIfAborted();
  if (sandbox.kind === "chroot") return (await import("./chroot/runChroot.ts")).runChroot(options);
  const { runtime, namespace } = sandbox;
  const terminal = options.terminal !== undefined;
  const { user, hostname, mounts } = stepSetup(options);
  const own = typeof options.network === "object" ? options.network : undefined;
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
  namespace.attach(options.rootfs, `${directory}/rootfs`, { devices: privileged || cgroups });
  try {
    return await runToEnd(options, runtime, runtimeGlobals(runtime, cgroups));
  } finally {
    // Through the mount while it is attached or through its descriptor after: the same file system.
    removeMountStubs(linux, options.rootfs, stubs);
    namespace.detach(`${directory}/rootfs`);
  }
}

/** A terminal that does not know its size says 0. */
function consoleSize({ linux, terminal }: RunStepOptions): { consoleSize?: { height: number; width: number } } {
  if (terminal === undefined) return {};
  const { rows, columns } = linux.getWindowSize(terminal.input);
  return rows === 0 || columns === 0 ? {} : { consoleSize: { height: rows, width: columns } };
}

async function runToEnd(options: RunStepOptions, runtime: Runtime, globals: string[]): Promise<number> {
  const { directory, signal, terminal } = options;
  const log = `${directory}/runtime.log`;
  const pidFile = `${directory}/pid`;
  const outputs =
    terminal === undefined
      ? [
          outputPipe(options.linux, (bytes) => options.logs(1, bytes)),
          outputPipe(options.linux, (bytes) => options.logs(2, bytes)),
        ]
      : [];
  const stdio: ["ignore" | number, number, number] =
    terminal === undefined
      ? ["ignore", (outputs[0] as Output).write, (outputs[1] as Output).write]
      : [terminal.input, terminal.output, terminal.output];
  const command = [
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
  ];
  const child = spawnWith(outputs, () => Bun.spawn(command, { cwd: directory, stdio }));
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
    const [code] = await Promise.all([child.exited, ...outputs.map(({ heard }) => heard)]);
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
