import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { unmappedOwner } from "../../layer/unmappedOwner.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { containerCapabilities, ownCapabilities } from "../../runtime/capabilities.ts";
import { compiledSeccomp, keepCompiledSeccomp, uncompiledSeccomp } from "../../runtime/compiledSeccomp.ts";
import { containerEnvironment } from "../../runtime/containerEnvironment.ts";
import { unavailable } from "../../runtime/chroot/unavailable.ts";
import { worksByChroot } from "../../runtime/isolation.ts";
import { enterMountNamespace, type MountNamespace } from "../../runtime/MountNamespace.ts";
import { findProgram } from "../../runtime/findProgram.ts";
import { makeDirectories, makeMountStubs, mountTargets } from "../../runtime/mountStubs.ts";
import { type ContainerNetwork, openContainerNetwork } from "../networks/containerNetwork.ts";
import { releaseNetworkOf } from "../networks/networkRelease.ts";
import { networkFileMounts, networkFiles, writeNetworkFiles } from "../../runtime/networkFiles.ts";
import type { Seccomp } from "../../runtime/OciSpec.ts";
import { probeRuntime } from "../../runtime/probe.ts";
import { processStart } from "../../linux/processStart.ts";
import { resolveUser } from "../../runtime/resolveUser.ts";
import type { Runtime } from "../../runtime/Runtime.ts";
import { runtimeGlobals, runtimeStateDirectory } from "../../runtime/runtimeCommand.ts";
import type { SeccompOptions } from "../../runtime/seccompOptions.ts";
import { addMount, DEFAULT_SHM_SIZE, rootlessSpec, runtimeSpec, type SpecMount, specText } from "../../runtime/spec.ts";
import { startByFifo } from "../../runtime/startByFifo.ts";
import type { ContainerRecord } from "../../store/Store.ts";
import { applySettings, ownLimits } from "./applySettings.ts";
import { containerCgroup, runtimeCgroup } from "./containerCgroup.ts";
import { containerFiles } from "./containerFiles.ts";
import { type ContainerOptions, containerHostname, containerOptions } from "./ContainerOptions.ts";
import { clearContainer, isUp, startLock } from "./containerState.ts";
import type { Engine } from "../Engine.ts";
import { recordContainerEvent } from "../events/eventLog.ts";
import type { Platform } from "../../oci/platform.ts";
import { checkRunnable } from "../../runtime/checkRunnable.ts";
import { platformOf } from "../images/resolveImage.ts";
import { spawnConmon } from "./spawnConmon.ts";
import { stageMounts } from "./stageMounts.ts";
import { startWatchers } from "./watchers.ts";

export interface LaunchOptions {
  /** Nobody is attached: standard input stays open for a later attach, and `--rm` is seen to by conmon. */
  detached: boolean;
  /** Called when all is made and before the process is let go: attach here, and nothing of its output is missed. */
  beforeStart?: (attachSocket: string) => Promise<void>;
  /** Its policy starts it, for the so manieth time, after this pause, unless somebody has stopped it meanwhile; otherwise somebody does. */
  restart?: { count: number; delayMs: number };
}

/**
 * Starts a created or ended container under conmon, which outlives this process; resolves when its process was let go. Its mounts live in a
 * namespace of this process, conmon and the container alone, and end with the last of them.
 * @throws SlipwayError `CONTAINER_RUNNING`, `CONMON_MISSING`, and what `runStep` throws, with the exit codes 125, 126 and 127
 */
export async function launchContainer(
  engine: Engine,
  record: ContainerRecord,
  options: LaunchOptions,
): Promise<ContainerRecord> {
  const { store } = engine;
  if (worksByChroot(engine.config.isolation)) throw unavailable("a container that stays", 125);
  const unlock = await store.lock(startLock(record.id));
  try {
    const current = store.containers.find(record.id);
    if (options.restart !== undefined && (current.stopped === true || isUp(current))) return current;
    if (isUp(current)) {
      throw new SlipwayError("CONTAINER_RUNNING", `container ${current.name} is already running`);
    }
    const conmon = findProgram("conmon");
    if (conmon === undefined) {
      throw new SlipwayError("CONMON_MISSING", "conmon, which watches over containers, is not installed", {
        hint: "Install it: apt-get install conmon",
        exitCode: 125,
      });
    }
    const settings = containerOptions(current);
    const runtime = await probeRuntime(store.linux, store.settings, {
      runtime: settings.runtime ?? engine.config.runtime,
    });
    const directory = store.containers.directory(current.id);
    clearContainer(current.id, directory);
    const network = await openContainerNetwork(engine, current);
    let namespace: MountNamespace | undefined;
    const staged: string[] = [];
    const limits = ownLimits(current, runtime);
    try {
      // Before the namespace, in which the trees of control groups may be covered.
      const cgroup = limits === undefined ? undefined : containerCgroup(engine, current, limits);
      if (runtime.cgroups) runtimeCgroup(engine, current);
      namespace = enterMountNamespace(store.linux, { ...runtime, keepCgroups: cgroup !== undefined });
      // It takes as long to come up as the bundle takes to be written.
      const monitor = spawnConmon(engine, current, { conmon, runtime, detached: options.detached, network });
      let uncompiled: SeccompOptions | undefined;
      try {
        uncompiled = writeBundle(engine, current, { runtime, namespace, staged, network });
      } catch (error) {
        monitor.cancel();
        throw error;
      }
      const created = monitor.createContainer();
      store.checkpoint(); // while others work
      const pid = await created;
      cgroup?.join(pid);
      const state = runtimeStateDirectory(runtime, current.id);
      if (uncompiled !== undefined && runtime.compiledSeccomp) keepCompiledSeccomp(runtime, uncompiled, state);
      const files = containerFiles(directory, current.id);
      await options.beforeStart?.(files.attach);
      const started = store.containers.update(current.id, {
        status: "running",
        pid,
        pidStart: processStart(pid) ?? 0,
        conmonPid: Number(readFileSync(files.conmonPid, "utf8")),
        started: Date.now(),
        finished: 0,
        exitCode: 0,
        error: "",
        ...(options.restart === undefined ? { stopped: false, stoppedWithHost: false } : {}),
        oomKilled: false,
        restartCount: options.restart?.count ?? 0,
        restartDelayMs: options.restart?.delayMs ?? 0,
        network: network.running,
      });
      if (!(runtime.startByFifo && startByFifo(state))) await startByRuntime(runtime, current.id);
      recordContainerEvent(engine, started, "start");
      return startWatchers(engine, started);
    } catch (error) {
      clearContainer(current.id, directory);
      releaseNetworkOf(engine, current);
      const message = error instanceof Error ? error.message : String(error);
      const exitCode = error instanceof SlipwayError && error.exitCode > 1 ? error.exitCode : 125;
      const status = options.restart === undefined ? "created" : "exited";
      store.containers.update(current.id, { status, error: message, exitCode, pid: 0, pidStart: 0 });
      throw error;
    } finally {
      network.close();
      // What the container needs of it is in its own namespace by now; here it would only keep the directory busy.
      for (const place of [containerFiles(directory, current.id).rootfs, ...staged]) namespace?.detach(place);
    }
  } finally {
    unlock();
  }
}

/** Mounts the root file system and writes what conmon and the runtime read. Returns what the seccomp profile is of that the runtime has to compile, if any. */
function writeBundle(
  engine: Engine,
  record: ContainerRecord,
  context: { runtime: Runtime; namespace: MountNamespace; staged: string[]; network: ContainerNetwork },
): SeccompOptions | undefined {
  const { runtime, namespace, staged, network } = context;
  const { store } = engine;
  const { linux } = store;
  const options = containerOptions(record);
  const { config } = options;
  const directory = store.containers.directory(record.id);
  const files = containerFiles(directory, record.id);
  const layers = record.layers.map((diffID) => store.layers.require(diffID));
  // What goes with the container need not outlive the machine: the end of the mount then waits for no disk.
  const mountfd = store.snapshotter.prepare(layers, directory, { volatile: record.autoRemove }).mount();
  try {
    const user = resolveUser(linux, mountfd, config.User ?? "");
    const unmapped = unmappedOwner(user.uid, user.gid);
    if (unmapped !== undefined) throw unmapped;
    const cwd = config.WorkingDir || "/";
    makeDirectories(linux, mountfd, cwd);
    const started = { args: options.args, env: config.Env ?? [], cwd };
    checkRunnable(linux, mountfd, started, platformOfImage(engine, record));

    const hostname = containerHostname(record, options);
    const filesFrom = network.filesFrom ?? directory;
    if (filesFrom === directory) {
      const { domainname } = options;
      const names = { hostname, ...(domainname === undefined ? {} : { domainname }), addHosts: options.addHosts };
      writeNetworkFiles(directory, networkFiles({ ...names, ...network.files }));
    }
    const mounts: SpecMount[] = [
      ...networkFileMounts(filesFrom),
      ...stageMounts(engine, options.mounts, { directory, namespace, staged }),
      ...options.tmpfs.map(tmpfsMount),
    ];
    const made = makeMountStubs(linux, mountfd, mountTargets(mounts));
    if (made.length > 0) {
      const stubs = [...(options.stubs ?? []), ...made];
      store.containers.update(record.id, { options: { ...options, stubs } satisfies ContainerOptions });
    }

    const { privileged } = options;
    const capabilities = containerCapabilities({
      add: options.capAdd,
      drop: options.capDrop,
      privileged,
      available: ownCapabilities(),
    });
    const confined = !privileged && !options.securityOpt.some((option) => /^seccomp[=:]unconfined$/.test(option));
    const confinement: SeccompOptions = { arch: process.arch, capabilities, deviceCgroup: runtime.cgroups };
    const ownProfile = confined ? options.seccompProfile : undefined;
    const filter = confined && ownProfile === undefined ? compiledSeccomp(runtime, confinement) : undefined;
    const spec = runtimeSpec({
      process: {
        args: options.args,
        env: containerEnvironment({ env: config.Env ?? [], hostname, terminal: options.tty, home: user.home }),
        cwd,
        user: { uid: user.uid, gid: user.gid, additionalGids: user.additionalGids },
        terminal: options.tty,
      },
      rootfs: files.rootfs,
      readOnlyRoot: options.readOnly,
      hostname,
      mounts,
      network: network.spec,
      capabilities,
      privileged,
      seccomp:
        ownProfile !== undefined
          ? ownSeccomp(ownProfile, capabilities)
          : confined
            ? (filter ?? uncompiledSeccomp(confinement))
            : undefined,
      noNewPrivileges: options.securityOpt.some((option) => /^no-new-privileges([=:]true)?$/.test(option)),
      shmSize: options.shmSize ?? DEFAULT_SHM_SIZE,
      cgroups: runtime.cgroups,
      cgroupMount: true,
      ...rootlessSpec(),
    });
    if (options.domainname !== undefined) spec.domainname = options.domainname;
    if (options.init) addInit(spec);
    applySettings(engine, record, spec, { runtime, namespace, root: mountfd, directory, staged });
    writeFileSync(`${directory}/config.json`, specText(spec));
    mkdirSync(files.rootfs, { recursive: true });
    namespace.attach(mountfd, files.rootfs, { devices: privileged || runtime.cgroups });
    return confined && ownProfile === undefined && filter === undefined ? confinement : undefined;
  } finally {
    linux.close(mountfd);
  }
}

function platformOfImage({ store }: Engine, { image }: ContainerRecord): Platform | undefined {
  const config = store.images.get(image)?.config;
  return config === undefined ? undefined : platformOf(config);
}

/** `--security-opt seccomp=FILE`; its reader is loaded only then. */
function ownSeccomp(text: string, capabilities: readonly string[]): Seccomp {
  const { seccompProfile } =
    require("../../runtime/seccompProfile.ts") as typeof import("../../runtime/seccompProfile.ts");
  return seccompProfile(text, capabilities);
}

/** `--init`: a small init reaps and forwards signals. */
function addInit(spec: ReturnType<typeof runtimeSpec>): void {
  const init = [
    "/usr/bin/catatonit",
    "/usr/libexec/podman/catatonit",
    "/usr/bin/docker-init",
    "/usr/bin/tini-static",
  ].find(existsSync);
  if (init === undefined) {
    throw new SlipwayError("INIT_MISSING", "--init needs a small init program, and none is installed", {
      hint: "Install one: apt-get install catatonit",
      exitCode: 125,
    });
  }
  addMount(spec, { destination: "/sbin/docker-init", type: "bind", source: init, options: ["bind", "ro"] });
  spec.process.args = ["/sbin/docker-init", "--", ...spec.process.args];
}

/** `--tmpfs path[:options]`, Docker's defaults. */
function tmpfsMount(text: string): SpecMount {
  const colon = text.indexOf(":");
  const target = colon < 0 ? text : text.slice(0, colon);
  const given =
    colon < 0
      ? []
      : text
          .slice(colon + 1)
          .split(",")
          .filter((option) => option !== "");
  return {
    target,
    type: "tmpfs",
    readOnly: given.includes("ro"),
    options: [
      ...(given.includes("exec") ? [] : ["noexec"]),
      ...given.filter((option) => option !== "ro" && option !== "rw"),
    ],
  };
}

async function startByRuntime(runtime: Runtime, id: string): Promise<void> {
  const child = Bun.spawn([runtime.program, ...runtimeGlobals(runtime), "start", id], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  const said = await new Response(child.stderr).text();
  if ((await child.exited) !== 0) {
    throw new SlipwayError("RUNTIME_FAILED", `the container could not be started: ${said.trim()}`, { exitCode: 125 });
  }
}
