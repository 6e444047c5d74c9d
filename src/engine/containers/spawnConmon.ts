import { mkdirSync, rmSync } from "node:fs";
import { processStat } from "../../linux/processStart.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import type { Runtime } from "../../runtime/Runtime.ts";
import { runtimeGlobals } from "../../runtime/runtimeCommand.ts";
import { runtimeFailure } from "../../runtime/runtimeFailure.ts";
import { endProcesses, runtimePids } from "../../runtime/runtimeState.ts";
import type { ContainerRecord } from "../../store/Store.ts";
import { containerFiles, monitorsDirectory } from "./containerFiles.ts";
import { type ContainerOptions, containerOptions } from "./ContainerOptions.ts";
import type { Engine } from "../Engine.ts";
import { logBytes } from "./logFiles.ts";
import type { ContainerNetwork } from "../networks/containerNetwork.ts";
import { hasToBeReleased } from "../networks/networkRelease.ts";
import { selfCommand, selfEnvironment } from "../../runtime/selfCommand.ts";
import { readOr } from "../../runtime/readOr.ts";
import { readSome } from "../../runtime/readSome.ts";

export interface Monitor {
  /**
   * Lets conmon make the container of the bundle, which is complete by now; resolves with the host pid of its first process, not yet let go.
   * @throws SlipwayError `EXECUTABLE_NOT_FOUND`, `NOT_EXECUTABLE`, `RUNTIME_FAILED`
   */
  createContainer(): Promise<number>;
  /** Instead of the former. */
  cancel(): void;
}

/** Starts conmon in our mount namespace. It waits, then stays with the container and outlives us. */
export function spawnConmon(
  engine: Engine,
  record: ContainerRecord,
  options: { conmon: string; runtime: Runtime; detached: boolean; network: ContainerNetwork },
): Monitor {
  const { linux, containers, root } = engine.store;
  const settings = containerOptions(record);
  const files = containerFiles(containers.directory(record.id), record.id);
  const { runtime } = options;
  rmSync(files.runtimeLog, { force: true });
  mkdirSync(files.exitDirectory, { recursive: true });
  mkdirSync(monitorsDirectory(files.directory), { recursive: true, mode: 0o700 });
  const runtimeArgs = [...runtimeGlobals(runtime), "--log", files.runtimeLog, "--log-format", "json"];
  const command = [
    options.conmon,
    "--api-version=1",
    `--cid=${record.id}`,
    `--cuuid=${record.id}`,
    `--name=${record.name}`,
    `--runtime=${runtime.program}`,
    `--bundle=${files.directory}`,
    `--container-pidfile=${files.pid}`,
    `--conmon-pidfile=${files.conmonPid}`,
    `--exit-dir=${files.exitDirectory}`,
    "--full-attach",
    ...logArguments(settings, files.log),
    "--log-level=error",
    "--no-sync-log",
    ...runtimeArgs.map((argument) => `--runtime-arg=${argument}`),
  ];
  if (settings.tty) command.push("--terminal");
  if (settings.interactive) command.push("--stdin");
  // Without it, conmon ends the container's input with the first client's: right for a pipe, but one detaches from a terminal to come back.
  if (settings.interactive && (options.detached || settings.tty)) command.push("--leave-stdin-open");
  const isKept = settings.restart !== undefined && settings.restart.name !== "no";
  if ((record.autoRemove && options.detached) || isKept) {
    const [program, ...args] = selfCommand(["container", "ended", record.id]);
    command.push(`--exit-command=${program}`, ...args.map((argument) => `--exit-command-arg=${argument}`));
  } else if (hasToBeReleased(record) && !record.autoRemove) {
    // Nobody may look for long, and its ports must not lead to nowhere meanwhile.
    const [program, ...args] = selfCommand(["network", "release", record.id]);
    command.push(`--exit-command=${program}`, ...args.map((argument) => `--exit-command-arg=${argument}`));
  }
  const [syncRead, syncWrite] = linux.pipe();
  const [startRead, startWrite] = linux.pipe();
  const child = Bun.spawn(command, {
    cwd: files.directory,
    env: {
      ...selfEnvironment(root),
      _OCI_SYNCPIPE: "3",
      _OCI_STARTPIPE: "4",
    },
    stdio: ["ignore", "ignore", "pipe", syncWrite, startRead, ...options.network.fds],
  });
  linux.close(syncWrite);
  linux.close(startRead);
  return {
    async createContainer() {
      try {
        linux.write(startWrite, new Uint8Array(1));
        const watchdog = watchRuntime(record.id, files.conmonPid);
        const reported = await readLine(syncRead).finally(() => clearInterval(watchdog));
        const answer = /\{.*\}/.exec(reported)?.[0];
        const report = answer === undefined ? undefined : (JSON.parse(answer) as { data: number; message?: string });
        if (report !== undefined && report.data > 0) return report.data;
        const failure = runtimeFailure(files.runtimeLog, settings.args);
        if (failure !== undefined) throw failure;
        const said = report?.message ?? (await new Response(child.stderr).text());
        throw new SlipwayError(
          "RUNTIME_FAILED",
          `the container could not be started: ${said.trim() || "conmon ended"}`,
          {
            exitCode: 125,
          },
        );
      } finally {
        linux.close(syncRead);
        linux.close(startWrite);
      }
    },
    cancel() {
      child.kill("SIGKILL"); // before its first fork: nothing else is there
      linux.close(syncRead);
      linux.close(startWrite);
    },
  };
}

const LOOK_MS = 300;
/** Three seconds in which conmon, with nothing left to wait for, has not moved: not one that only gets no processor, which would be ready to run. */
const STUCK_LOOKS = 10;

/**
 * A runtime that is killed when it has made the first process, and before it said so, leaves that waiting for it, and conmon for the end of what both
 * hold open: they are ended. The process is conmon's child then, and conmon asleep.
 */
function watchRuntime(id: string, conmonPidFile: string): ReturnType<typeof setInterval> {
  let stuck = 0;
  let before = "";
  return setInterval(() => {
    const conmon = Number(readOr(conmonPidFile));
    const status = conmon > 0 ? readOr(`/proc/${conmon}/status`) : "";
    const moved = /^State:\s+S/m.test(status) ? (/^voluntary_ctxt_switches:.*/m.exec(status)?.[0] ?? "") : "";
    const isOrphaned = moved !== "" && runtimePids(id).some(({ pid }) => parentOf(pid) === conmon);
    stuck = isOrphaned && moved === before ? stuck + 1 : 0;
    before = moved;
    if (stuck >= STUCK_LOOKS) endProcesses(id);
  }, LOOK_MS);
}

function parentOf(pid: number): number {
  return Number(processStat(pid)?.[1] ?? 0);
}

function logArguments({ log }: ContainerOptions, path: string): string[] {
  if (log?.driver === "none") return ["--log-path=none"];
  const size = log?.options["max-size"];
  // Several files are kept by a watcher of ours; one alone conmon begins anew by itself.
  const isOurs = Number(log?.options["max-file"] ?? 1) > 1;
  const limit = size === undefined || size === "-1" || isOurs ? [] : [`--log-size-max=${logBytes(size)}`];
  return [`--log-path=k8s-file:${path}`, ...limit];
}

/** One line from a pipe, without holding up the event loop; what there is at the pipe's end. */
async function readLine(fd: number): Promise<string> {
  const chunk = new Uint8Array(4096);
  for (let text = ""; ; ) {
    const bytesRead = await readSome(fd, chunk);
    text += Buffer.from(chunk.buffer, 0, bytesRead).toString();
    if (bytesRead === 0 || text.includes("\n")) return text;
  }
}
