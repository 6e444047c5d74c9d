import { existsSync, mkdirSync, statSync } from "node:fs";
import { AT_FDCWD, CLONE_FS, CLONE_NEWNS, O_RDONLY } from "../../linux/constants.ts";
import type { Linux } from "../../linux/Linux.ts";
import { inUserNamespace } from "../../linux/userNamespace.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import { cgroupName } from "../../runtime/cgroupName.ts";
import type { MountNamespace } from "../../runtime/MountNamespace.ts";
import type { OciSpec } from "../../runtime/OciSpec.ts";
import { type DeviceRule, limitsAnything, type Resources } from "../../runtime/resources.ts";
import { resolveGroups } from "../../runtime/resolveUser.ts";
import type { Runtime } from "../../runtime/Runtime.ts";
import { addMount } from "../../runtime/spec.ts";
import type { ContainerRecord } from "../../store/Store.ts";
import { containerOptions } from "./ContainerOptions.ts";
import type { Engine } from "../Engine.ts";
import { allDevices, type HostDevice, requestedDevices } from "./hostDevices.ts";
import { joinedContainer } from "./namespaceModes.ts";
import { readOr } from "../../runtime/readOr.ts";

export interface SettingsContext {
  runtime: Runtime;
  namespace: MountNamespace;
  /** Descriptor of the root file system. */
  root: number;
  /** Where something can be attached; see `stageMounts`. */
  directory: string;
  staged: string[];
}

/** Brings what `RunSettings` ask for into the document of the runtime. @throws SlipwayError `INVALID_OPTION`, `GROUP_NOT_FOUND`, `CONTAINER_NOT_RUNNING` */
export function applySettings(engine: Engine, record: ContainerRecord, spec: OciSpec, context: SettingsContext): void {
  const options = containerOptions(record);
  const { linux } = engine.store;
  const { process } = spec;
  const groups = resolveGroups(linux, context.root, options.groupAdd ?? []);
  if (groups.length > 0) {
    process.user.additionalGids = [...new Set([...(process.user.additionalGids ?? []), ...groups])];
  }
  if (options.rlimits !== undefined) process.rlimits = options.rlimits;
  if (options.oomScoreAdj !== undefined) process.oomScoreAdj = options.oomScoreAdj;
  const sysctl = { ...options.sysctls };
  if (options.domainname !== undefined) sysctl["kernel.domainname"] = options.domainname;
  if (Object.keys(sysctl).length > 0) spec.linux.sysctl = sysctl;
  if (options.annotations !== undefined) spec.annotations = { ...options.annotations, ...spec.annotations };
  if (options.mounts.some((mount) => mount.mountOptions?.some((each) => /^r?slave$/.test(each)) === true)) {
    spec.linux.rootfsPropagation = "rslave";
  }
  for (const option of options.securityOpt) applySecurityOption(spec, option);
  applyNamespaces(engine, record, spec, context);
  applyDevices(linux, record, spec, context.runtime);
  if (context.runtime.cgroups && limitsAnything(options.resources)) {
    const { devices: _, ...limits } = options.resources as Resources;
    spec.linux.resources = { ...spec.linux.resources, ...limits };
  }
  if (context.runtime.cgroups) spec.linux.cgroupsPath = `/${cgroupName(record.id, options.cgroupParent)}`;
}

/** What limits of ours come to where the runtime makes no control groups: undefined where there are none to be made. */
export function ownLimits(record: ContainerRecord, runtime: Runtime): Resources | undefined {
  if (runtime.cgroups) return undefined;
  const options = containerOptions(record);
  const devices = restrictingRules(record);
  if (!limitsAnything(options.resources) && devices.length === 0 && !isTracked(record)) return undefined;
  return { ...options.resources, ...(devices.length === 0 ? {} : { devices }) };
}

/** Whether its processes cannot be told by their process namespace. */
export function isTracked(record: ContainerRecord): boolean {
  return !["", "private"].includes(containerOptions(record).pidMode ?? "");
}

function applySecurityOption(spec: OciSpec, option: string): void {
  if (option === "systempaths=unconfined") {
    delete spec.linux.maskedPaths;
    delete spec.linux.readonlyPaths;
  }
  const [, name = "", value = ""] = /^(apparmor|label)[=:](.*)$/.exec(option) ?? [];
  if (name === "apparmor" && value !== "unconfined") {
    if (!/^Y/.test(readOr("/sys/module/apparmor/parameters/enabled"))) {
      throw invalid(`--security-opt ${option}: AppArmor is not enabled on this host`);
    }
    spec.process.apparmorProfile = value;
  }
  if (name === "label" && value !== "disable") {
    if (!existsSync("/sys/fs/selinux/enforce")) {
      throw invalid(`--security-opt ${option}: SELinux is not enabled on this host`);
    }
    throw invalid(`--security-opt ${option}: labels of SELinux are not supported`);
  }
}

function applyNamespaces(engine: Engine, record: ContainerRecord, spec: OciSpec, context: SettingsContext): void {
  const options = containerOptions(record);
  const { linux } = engine.store;
  const drop = (type: string): void => {
    spec.linux.namespaces = spec.linux.namespaces.filter((each) => each.type !== type);
  };
  const join = (type: "pid" | "ipc", pid: number): void => {
    drop(type);
    spec.linux.namespaces.push({ type, path: `/proc/${pid}/ns/${type}` });
  };
  const { pidMode = "", ipcMode = "", utsMode = "", cgroupnsMode = "" } = options;
  const pidOf = joinedContainer(engine, pidMode, "pid");
  if (pidMode === "host") drop("pid");
  else if (pidOf !== undefined) join("pid", pidOf.pid as number);

  const ipcOf = joinedContainer(engine, ipcMode, "ipc");
  if (ipcMode === "host") {
    drop("ipc");
    rebind(spec, "/dev/shm", "/dev/shm");
  } else if (ipcOf !== undefined) {
    join("ipc", ipcOf.pid as number);
    const tree = treeOf(linux, ipcOf.pid as number, "/dev/shm");
    try {
      const place = `${context.directory}/mounts/shm`;
      mkdirSync(place, { recursive: true });
      context.namespace.attach(tree, place);
      context.staged.push(place);
      rebind(spec, "/dev/shm", place);
    } finally {
      linux.close(tree);
    }
  } else if (ipcMode === "none") spec.mounts = spec.mounts.filter((mount) => mount.destination !== "/dev/shm");

  if (utsMode === "host") {
    drop("uts");
    delete spec.hostname;
    if (options.hostname !== undefined) throw invalid("conflicting options: hostname and the UTS mode");
  }
  if (cgroupnsMode === "host") drop("cgroup");
  else if (cgroupnsMode === "private" && !spec.linux.namespaces.some((each) => each.type === "cgroup")) {
    spec.linux.namespaces.push({ type: "cgroup" });
  }
}

function rebind(spec: OciSpec, destination: string, source: string): void {
  const at = spec.mounts.findIndex((mount) => mount.destination === destination);
  if (at < 0) return; // covered by a mount of the user's own
  spec.mounts[at] = { destination, type: "bind", source, options: ["rbind", "nosuid", "noexec", "nodev"] };
}

/** A detached copy of the mount at `path` in the mount namespace of this process. */
function treeOf(linux: Linux, pid: number, path: string): number {
  const cwd = process.cwd();
  const own = linux.openat(AT_FDCWD, "/proc/thread-self/ns/mnt", O_RDONLY);
  try {
    const theirs = linux.openat(AT_FDCWD, `/proc/${pid}/ns/mnt`, O_RDONLY);
    try {
      linux.unshare(CLONE_FS); // threads share our root and cwd, which setns(2) refuses
      linux.setns(theirs, CLONE_NEWNS);
      try {
        return linux.openTree(AT_FDCWD, path);
      } finally {
        linux.setns(own, CLONE_NEWNS);
        process.chdir(cwd);
      }
    } finally {
      linux.close(theirs);
    }
  } finally {
    linux.close(own);
  }
}

function applyDevices(linux: Linux, record: ContainerRecord, spec: OciSpec, runtime: Runtime): void {
  const options = containerOptions(record);
  const found: HostDevice[] = options.privileged ? allDevices(linux) : [];
  const rules: DeviceRule[] = [];
  for (const request of options.devices ?? []) {
    for (const { source, device } of requestedDevices(linux, request)) {
      found.push({ source, device });
      rules.push({ allow: true, type: device.type, major: device.major, minor: device.minor, access: request.access });
    }
  }
  const isOwn = inUserNamespace();
  // Nodes cannot be made in a user namespace: the host's are mounted, which the runtime does by the path in the container.
  for (const { source, device } of isOwn ? found.filter((each) => each.source !== each.device.path) : [])
    addMount(spec, { destination: device.path, type: "bind", source, options: ["bind", "nosuid", "noexec"] });
  const devices = found.flatMap(({ source, device }) => (isOwn && source !== device.path ? [] : [device]));
  if (devices.length > 0) spec.linux.devices = devices;
  if (!runtime.cgroups || options.privileged) return;
  const all = [...rules, ...(options.deviceRules ?? []).map(parseDeviceRule)];
  if (all.length === 0) return;
  spec.linux.resources = {
    ...spec.linux.resources,
    devices: [...(spec.linux.resources?.devices ?? []), ...all],
  };
}

/** What the device controller has to say where the runtime leaves it alone: only where access was asked for in part. */
function restrictingRules(record: ContainerRecord): DeviceRule[] {
  const options = containerOptions(record);
  const partial = (options.devices ?? []).some(
    (device) => !["r", "w", "m"].every((each) => device.access.includes(each)),
  );
  if (options.privileged || (!partial && options.deviceRules === undefined)) return [];
  const rules: DeviceRule[] = [
    { allow: false, access: "rwm" },
    { allow: true, type: "c", access: "m" },
    { allow: true, type: "b", access: "m" },
    ...["1 3", "1 5", "1 7", "1 8", "1 9", "5 0", "5 1", "5 2"].map((each) => {
      const [major, minor] = each.split(" ").map(Number) as [number, number];
      return { allow: true, type: "c", major, minor, access: "rwm" };
    }),
    { allow: true, type: "c", major: 136, access: "rwm" },
  ];
  for (const request of options.devices ?? []) {
    const stat = statSync(request.source);
    if (stat.isDirectory()) throw invalid("--device: a directory is given with all access (rwm)");
    const { rdev } = stat;
    rules.push({
      allow: true,
      type: stat.isBlockDevice() ? "b" : "c",
      major: ((rdev >>> 8) & 0xfff) | (Math.floor(rdev / 2 ** 32) & 0xfffff000),
      minor: (rdev & 0xff) | ((rdev >>> 12) & 0xfff00),
      access: request.access,
    });
  }
  return [...rules, ...(options.deviceRules ?? []).map(parseDeviceRule)];
}

function parseDeviceRule(rule: string): DeviceRule {
  const [, type = "a", major = "*", minor = "*", access = "rwm"] =
    /^([acb]) (\d+|\*):(\d+|\*) ([rwm]+)$/.exec(rule) ?? [];
  return {
    allow: true,
    type,
    ...(major === "*" ? {} : { major: Number(major) }),
    ...(minor === "*" ? {} : { minor: Number(minor) }),
    access,
  };
}

function invalid(message: string): SlipwayError {
  return new SlipwayError("INVALID_OPTION", message, { exitCode: 125 });
}
