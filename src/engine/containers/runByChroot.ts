import { unmappedOwner } from "../../layer/unmappedOwner.ts";
import { AT_FDCWD, O_DIRECTORY, O_PATH } from "../../linux/constants.ts";
import { rootCapabilities, runInRoot } from "../../runtime/chroot/runInRoot.ts";
import { capabilityName } from "../../runtime/capabilities.ts";
import { unavailable } from "../../runtime/chroot/unavailable.ts";
import { containerEnvironment } from "../../runtime/containerEnvironment.ts";
import { hostHostname } from "../../runtime/hostHostname.ts";
import { makeDirectories } from "../../runtime/mountStubs.ts";
import { type NetworkFiles, networkFileMounts, networkFiles, writeNetworkFiles } from "../../runtime/networkFiles.ts";
import { resolveUser } from "../../runtime/resolveUser.ts";
import type { SpecMount } from "../../runtime/spec.ts";
import type { CreateOptions, Engine, Streams } from "../Engine.ts";
import { checkOptions, commandOf, imageFor, mergedConfig } from "./createContainer.ts";

/**
 * `run --rm` where no namespaces can be had: one process in a copy of the image's files by chroot, in the foreground, on the network that we are on. No
 * container is recorded, and nothing is left. Resolves with the exit code.
 * @throws SlipwayError `ISOLATION_UNAVAILABLE` by the name of each option that needs more, and what `runInRoot` throws
 */
export async function runByChroot(
  engine: Engine,
  options: CreateOptions,
  streams: Streams | undefined,
): Promise<number> {
  if (streams === undefined) throw unavailable("a container in the background (-d)", 125);
  for (const [what, wanted] of Object.entries(needingMore(options))) if (wanted) throw unavailable(what, 125);
  checkOptions(options);
  const { store, signal } = engine;
  const { linux } = store;
  const image = await imageFor(engine, options);
  const config = mergedConfig(image.config.config ?? {}, options);
  const args = commandOf(config, options);
  const lease = store.lease("run");
  try {
    const layers = image.config.rootfs.diff_ids.map((diffID) => {
      lease.protect("layer", diffID);
      return store.layers.require(diffID);
    });
    const directory = lease.directory();
    const { path } = store.snapshotter.prepare(layers, lease.directory(), { volatile: true });
    if (path === undefined) throw new Error("without mounts a root file system is a directory");
    const root = linux.openat(AT_FDCWD, path, O_PATH | O_DIRECTORY);
    const cwd = config.WorkingDir || "/";
    const user = resolveUser(linux, root, config.User ?? "");
    makeDirectories(linux, root, cwd);
    linux.close(root);
    const unmapped = unmappedOwner(user.uid, user.gid);
    if (unmapped !== undefined) throw unmapped;
    const terminal = options.tty && streams.terminal !== undefined;
    const env = containerEnvironment({
      env: config.Env ?? [],
      hostname: hostHostname(),
      terminal: options.tty,
      home: user.home,
    });
    writeNetworkFiles(directory, hostNetworkFiles(options));
    return await runInRoot({
      linux,
      directory,
      root: path,
      process: { args, env, cwd },
      user,
      mounts: [
        ...networkFileMounts(directory).map((mount): SpecMount => ({ ...mount, own: "given" })),
        ...options.tmpfs.map(memory),
      ],
      capabilities: rootCapabilities({ add: options.capAdd, drop: options.capDrop }),
      rlimits: options.rlimits ?? [],
      logs: (stream, bytes) => (stream === 1 ? streams.stdout(bytes) : streams.stderr(bytes)),
      ...(streams.stdin === undefined ? {} : { input: streams.stdin }),
      ...(terminal ? { terminal: { input: 0, output: 1 } } : {}),
      signal,
    });
  } finally {
    lease.release();
  }
}

/** What a container may ask for that is a namespace, a mount or a control group, in the words of the command line. */
function needingMore(options: CreateOptions): Record<string, boolean> {
  const { networks = [], resources = {} } = options;
  const withhold = options.capAdd.filter(
    (name) => !rootCapabilities({ add: [name], drop: [] }).includes(capabilityName(name)),
  );
  return {
    "a container that stays (run without --rm)": !options.autoRemove,
    "a network of its own (--network)": networks.length > 0 || !["default", "host"].includes(options.network),
    "a port of the host (-p)": (options.publish ?? []).length > 0 || options.publishAll === true,
    "a volume or a directory of the host (-v, --mount)":
      options.volumes.length > 0 || (options.mountRequests ?? []).length > 0 || (options.volumesFrom ?? []).length > 0,
    "a tmpfs with options (--tmpfs)": options.tmpfs.some((entry) => entry.includes(":")),
    "a read-only root (--read-only)": options.readOnly,
    "a privileged container (--privileged)": options.privileged,
    "a host name (--hostname)": options.hostname !== undefined || options.domainname !== undefined,
    "a device (--device)": (options.devices ?? []).length > 0 || (options.deviceRules ?? []).length > 0,
    "an init process (--init)": options.init,
    "a limit of memory, processors or processes":
      Object.keys(resources).length > 0 || options.cgroupParent !== undefined,
    "a setting of the kernel (--sysctl)": Object.keys(options.sysctls ?? {}).length > 0,
    "a namespace of another container (--pid, --ipc, --uts)": [options.pidMode, options.ipcMode, options.utsMode].some(
      (mode) => mode !== undefined && mode !== "host",
    ),
    "a restart (--restart)": options.restart !== undefined && options.restart.name !== "no",
    "a health check (--health-cmd)": options.health !== undefined && options.health.Test?.[0] !== "NONE",
    "a profile (--security-opt)": options.securityOpt.some((each) => !/unconfined$|^label[=:]/.test(each)),
    [`the capability ${withhold.join(", ")} (--cap-add)`]: withhold.length > 0,
  };
}

function hostNetworkFiles({ addHosts, dns = [], dnsSearch = [], dnsOptions = [] }: CreateOptions): NetworkFiles {
  return networkFiles({
    hostname: hostHostname(),
    addHosts,
    ownHosts: true,
    dns: { servers: dns, search: dnsSearch, options: dnsOptions },
  });
}

function memory(target: string): SpecMount {
  return { target, type: "tmpfs", readOnly: false, options: ["mode=1777"] };
}
