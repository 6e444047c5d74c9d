import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { AT_FDCWD, O_DIRECTORY, O_PATH } from "../../linux/constants.ts";
import type { Linux } from "../../linux/Linux.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { CAPABILITIES, ownCapabilities } from "../../runtime/capabilities.ts";
import { containerEnvironment } from "../../runtime/containerEnvironment.ts";
import { enterMountNamespace } from "../../runtime/MountNamespace.ts";
import type { OciProcess, OciSpec } from "../../runtime/OciSpec.ts";
import { probeRuntime } from "../../runtime/probe.ts";
import { isAlive } from "../../linux/processStart.ts";
import { resolveGroups, resolveUser } from "../../runtime/resolveUser.ts";
import { specText } from "../../runtime/spec.ts";
import { runtimeGlobals } from "../../runtime/runtimeCommand.ts";
import { readOr } from "../../runtime/readOr.ts";
import { runtimeFailure, runtimeMessage } from "../../runtime/runtimeFailure.ts";
import type { ContainerRecord } from "../../store/Store.ts";
import { containerCgroups } from "./containerCgroup.ts";
import { containerHostname, containerOptions } from "./ContainerOptions.ts";
import { DEFAULT_DETACH_KEYS, parseDetachKeys } from "./detachKeys.ts";
import { refreshContainer } from "./containerState.ts";
import type { Engine, ExecOptions, Streams } from "../Engine.ts";
import { recordContainerEvent } from "../events/eventLog.ts";

/**
 * Runs one more process in a running container; resolves with its exit code, or with 0 as soon as it runs where detached, or when the keys that detach
 * are typed. @throws SlipwayError `CONTAINER_NOT_RUNNING`, `USER_NOT_FOUND`, `EXECUTABLE_NOT_FOUND` (127), `NOT_EXECUTABLE` (126)
 */
export async function execContainer(
  engine: Engine,
  nameOrId: string,
  options: ExecOptions,
  streams: Streams,
): Promise<number> {
  const { store } = engine;
  const record = refreshContainer(engine, store.containers.find(nameOrId));
  if (record.status === "paused") {
    throw new SlipwayError("CONTAINER_PAUSED", `container ${record.name} is paused, unpause the container before exec`);
  }
  if (record.status !== "running") {
    throw new SlipwayError("CONTAINER_NOT_RUNNING", `container ${record.name} is not running`, {
      hint: `Start it: slipway start ${record.name}`,
    });
  }
  const settings = containerOptions(record);
  const detachKeys = parseDetachKeys(options.detachKeys ?? settings.detachKeys ?? DEFAULT_DETACH_KEYS);
  const runtime = await probeRuntime(store.linux, store.settings, {
    runtime: settings.runtime ?? engine.config.runtime,
  });
  const execID = Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("hex");
  const said = (action: string, attributes: Record<string, string> = {}): void =>
    recordContainerEvent(engine, record, action, { attributes: { execID, ...attributes } });
  const directory = `${store.containers.directory(record.id)}/exec/${crypto.randomUUID()}`;
  mkdirSync(directory, { recursive: true });
  try {
    writeFileSync(`${directory}/process.json`, specText(execProcess(engine, record, options)));
    said(`exec_create: ${options.command.join(" ")}`);
    const limited = runtime.cgroups ? [] : containerCgroups(store.containers.directory(record.id));
    if (limited.length > 0) (await import("../../runtime/cgroup.ts")).prepareCgroups();
    if (runtime.cgroupView) enterMountNamespace(store.linux, { ...runtime, keepCgroups: limited.length > 0 });
    const log = `${directory}/log`;
    const command = [runtime.program, ...runtimeGlobals(runtime), "--log", log, "--log-format", "json", "exec"];
    if (options.detach) command.push("--detach");
    const pidFile = `${directory}/pid`;
    if (options.timeoutMs !== undefined || options.tty) command.push("--pid-file", pidFile);
    command.push("--process", `${directory}/process.json`, record.id);
    said(`exec_start: ${options.command.join(" ")}`);
    const joining = limited.length > 0 ? joiningCgroups(containerCgroups(store.containers.directory(record.id))) : [];
    const ours = { ...streams, pidFile, detachKeys, log };
    const code = await runExec(store.linux, [...joining, ...command], options, ours);
    if (code === "detached") {
      said("exec_detach");
      return 0;
    }
    if (!options.detach) said("exec_die", { exitCode: String(code) });
    if (code !== 0) {
      const failure = runtimeFailure(log, options.command, CANNOT_EXEC);
      if (failure !== undefined) throw failure;
    }
    return code;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Docker's exit code of whatever keeps a further process from starting. */
const CANNOT_EXEC = 126;

/** The container's own process with the options on top. */
function execProcess(engine: Engine, record: ContainerRecord, options: ExecOptions): OciProcess {
  const { linux, containers } = engine.store;
  const settings = containerOptions(record);
  const spec = JSON.parse(readFileSync(`${containers.directory(record.id)}/config.json`, "utf8")) as OciSpec;
  // The root as the container sees it, volumes included; still the same container when it was opened.
  const root = linux.openat(AT_FDCWD, `/proc/${record.pid}/root`, O_PATH | O_DIRECTORY);
  try {
    if (!isAlive(record.pid, record.pidStart)) {
      throw new SlipwayError("CONTAINER_NOT_RUNNING", `container ${record.name} is not running`);
    }
    const user = resolveUser(linux, root, options.user ?? settings.config.User ?? "");
    const capabilities = options.privileged
      ? CAPABILITIES.filter((name) => ownCapabilities().includes(name))
      : spec.process.capabilities.bounding;
    return {
      terminal: options.tty,
      user: {
        uid: user.uid,
        gid: user.gid,
        additionalGids: [...new Set([...user.additionalGids, ...resolveGroups(linux, root, settings.groupAdd ?? [])])],
      },
      args: options.command,
      env: containerEnvironment({
        env: [...(settings.config.Env ?? []), ...options.env],
        hostname: containerHostname(record, settings),
        terminal: options.tty,
        home: user.home,
      }),
      cwd: options.workdir ?? (settings.config.WorkingDir || "/"),
      capabilities: {
        bounding: capabilities,
        effective: capabilities,
        permitted: capabilities,
        inheritable: [],
        ambient: [],
      },
      noNewPrivileges: spec.process.noNewPrivileges,
      ...(spec.process.rlimits === undefined ? {} : { rlimits: spec.process.rlimits }),
      ...(spec.process.oomScoreAdj === undefined ? {} : { oomScoreAdj: spec.process.oomScoreAdj }),
      ...(spec.process.apparmorProfile === undefined ? {} : { apparmorProfile: spec.process.apparmorProfile }),
    };
  } finally {
    linux.close(root);
  }
}

/** What starts a command line in these control groups. */
function joiningCgroups(directories: string[]): string[] {
  const script =
    'n=$1; shift; while [ "$n" -gt 0 ]; do echo $$ >"$1/cgroup.procs" || exit 125; shift; n=$((n - 1)); done; exec "$@"';
  return ["/bin/sh", "-c", script, "sh", String(directories.length), ...directories];
}

async function runExec(
  linux: Linux,
  command: string[],
  options: ExecOptions,
  streams: Streams & { pidFile: string; log: string; detachKeys: readonly number[] },
): Promise<number | "detached"> {
  if (options.detach) {
    return Bun.spawn(command, { stdin: "ignore", stdout: "ignore", stderr: "ignore" }).exited;
  }
  if (options.tty) {
    const { execOnTerminal } = await import("./execTerminal.ts");
    let stop = NOTHING;
    try {
      return await execOnTerminal(linux, command, {
        terminal: streams.terminal,
        interactive: options.interactive,
        detachKeys: streams.detachKeys,
        pidFile: streams.pidFile,
        stdout: streams.stdout,
        onStart: (child) => {
          stop = forwardSignals(child);
        },
      });
    } finally {
      stop();
    }
  }
  const stdin = options.interactive && streams.stdin !== undefined ? streams.stdin : "ignore";
  const child = Bun.spawn(command, { stdin, stdout: "pipe", stderr: "pipe" });
  let timedOut = false;
  const timer =
    options.timeoutMs === undefined
      ? undefined
      : setTimeout(() => {
          timedOut = true;
          endExec(streams.pidFile);
          child.kill("SIGKILL");
        }, options.timeoutMs);
  const [code] = await Promise.all([
    forwarding(child).finally(() => clearTimeout(timer)),
    forward(child.stdout, streams.stdout),
    forwardErrors(child.stderr, streams),
  ]);
  if (timedOut) throw new SlipwayError("EXEC_TIMEOUT", `${options.command.join(" ")} took too long and was ended`);
  return code;
}

function endExec(pidFile: string): void {
  try {
    process.kill(Number(readFileSync(pidFile, "utf8")), "SIGKILL");
  } catch {
    // not that far, or just ended
  }
}

/** The runtime passes them on to the process. */
async function forwarding(child: Signalled & { exited: Promise<number> }): Promise<number> {
  const stop = forwardSignals(child);
  try {
    return await child.exited;
  } finally {
    stop();
  }
}

interface Signalled {
  kill(signal: NodeJS.Signals): void;
}

const NOTHING = (): void => undefined;

function forwardSignals(child: Signalled): () => void {
  const signals = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const;
  const listeners = signals.map((name) => {
    const listener = (): void => child.kill(name);
    process.on(name, listener);
    return () => process.off(name, listener);
  });
  return () => {
    for (const remove of listeners) remove();
  };
}

async function forward(stream: ReadableStream<Uint8Array>, to: (bytes: Uint8Array) => void): Promise<void> {
  for await (const chunk of stream) to(chunk);
}

/** How long crun takes from the one place to the other, milliseconds. */
const LOG_MS = 10;

/** But for what crun says there of a process that does not start: it writes that to its log as well, which becomes our error. */
async function forwardErrors(
  stream: ReadableStream<Uint8Array>,
  { stderr, log }: { stderr: (bytes: Uint8Array) => void; log: string },
): Promise<void> {
  let isFirst = true;
  for await (const chunk of stream) {
    if (isFirst) {
      isFirst = false;
      await Bun.sleep(LOG_MS);
      const said = runtimeMessage(readOr(log));
      if (said !== undefined && said === Buffer.from(chunk).toString().trim()) continue;
    }
    stderr(chunk);
  }
}
