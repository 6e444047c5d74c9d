import type { OciMount, OciProcess, OciSpec, Seccomp } from "./OciSpec.ts";
import { SECCOMP_ANNOTATION } from "./compiledSeccomp.ts";
import { type IdRange, inUserNamespace, mappedIds } from "../linux/userNamespace.ts";
import { type Rlimit, UNLIMITED } from "./rlimits.ts";

export interface ProcessSpec {
  args: string[];
  /** `K=V`, complete and in order, see {@link containerEnvironment}. */
  env: string[];
  /** Absolute. */
  cwd: string;
  user: { uid: number; gid: number; additionalGids: number[] };
  terminal: boolean;
  consoleSize?: { height: number; width: number };
}

export interface SpecMount {
  /** Absolute, inside the container. */
  target: string;
  type: "bind" | "tmpfs";
  /** Absolute path on the host, for `bind`. */
  source?: string;
  readOnly: boolean;
  /** Further options as the runtime-spec takes them (`size=64m`, `mode=700`, `noexec`). */
  options?: string[];
  /**
   * Of a `bind`, for who cannot mount: the source itself may be put in place, for nobody else looks at it meanwhile. `given`: it is used up by that.
   * `lent`: it goes back with what was written.
   */
  own?: "given" | "lent";
  /** Of a `bind`: how it is bound and what spreads, in place of rbind and rprivate. */
  binding?: string[];
}

export interface SpecOptions {
  process: ProcessSpec;
  /** Path of the mounted root file system. */
  rootfs: string;
  readOnlyRoot: boolean;
  hostname: string;
  /** After the default ones, in order: a later one covers an earlier one. */
  mounts: SpecMount[];
  /** `none`: a network namespace of its own, in which the runtime brings up the loopback. `path`: that of a namespace that is there. */
  network: "host" | "none" | { path: string };
  /** By `containerCapabilities`. */
  capabilities: string[];
  privileged: boolean;
  /** A profile, or a filter compiled from one (base64) for a runtime that takes it; undefined: unconfined. */
  seccomp: Seccomp | string | undefined;
  noNewPrivileges: boolean;
  /** Bytes of /dev/shm. */
  shmSize: number;
  /** Those that are not the runtime's own; a soft or hard limit of {@link UNLIMITED} is none. */
  rlimits?: Rlimit[];
  /** Whether the runtime makes a cgroup. Without it there are no device rules, and the seccomp profile takes their place. */
  cgroups: boolean;
  /** Whether /sys/fs/cgroup can be shown. */
  cgroupMount: boolean;
  /** Of a runtime that is root of a user namespace alone: {@link rootlessSpec}. */
  rootless?: { ttyGroup: boolean };
}

/** The namespace that this process is in, for the options. `ttyGroup`: it has the group (5, on every distribution) that terminals belong to. */
export function rootlessSpec(ranges: readonly IdRange[] = mappedIds()): Pick<SpecOptions, "rootless"> {
  if (!inUserNamespace(ranges)) return {};
  return { rootless: { ttyGroup: ranges.some(({ inside, length }) => inside <= 5 && 5 < inside + length) } };
}

/** Docker's default. */
export const DEFAULT_SHM_SIZE = 64 * 1024 * 1024;

const MASKED_PATHS = [
  "/proc/asound",
  "/proc/acpi",
  "/proc/interrupts",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/proc/sched_debug",
  "/proc/scsi",
  "/sys/firmware",
  "/sys/devices/virtual/powercap",
];
const READONLY_PATHS = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/**
 * The runtime-spec document for a container with Docker's defaults: the same record gives the same document, and nothing but the
 * record is looked at.
 */
export function runtimeSpec(options: SpecOptions): OciSpec {
  const { process, privileged, capabilities } = options;
  const spec: OciSpec = {
    ociVersion: "1.0.2",
    process: {
      terminal: process.terminal,
      ...(process.consoleSize === undefined ? {} : { consoleSize: process.consoleSize }),
      user: process.user,
      args: process.args,
      env: process.env,
      cwd: process.cwd,
      capabilities: {
        bounding: capabilities,
        effective: capabilities,
        permitted: capabilities,
        inheritable: [],
        ambient: [],
      },
      noNewPrivileges: options.noNewPrivileges,
      ...(options.rlimits === undefined || options.rlimits.length === 0 ? {} : { rlimits: options.rlimits }),
    },
    root: { path: options.rootfs, readonly: options.readOnlyRoot && !closesRoot(options) },
    hostname: options.hostname,
    mounts: [
      ...defaultMounts(options),
      ...options.mounts.map((mount) => ociMount(mount, !forbidsDevices(options))),
      ...(closesRoot(options) ? [rootWithoutDevices(options.readOnlyRoot)] : []),
    ],
    linux: {
      namespaces: [{ type: "mount" }, { type: "pid" }, { type: "ipc" }, { type: "uts" }],
    },
  };
  if (options.network === "none") spec.linux.namespaces.push({ type: "network" });
  else if (options.network !== "host") spec.linux.namespaces.push({ type: "network", path: options.network.path });
  if (options.cgroups) {
    spec.linux.namespaces.push({ type: "cgroup" });
    // Making any node is harmless, opening one is not; the runtime adds what every container may open.
    spec.linux.resources = {
      devices: privileged
        ? [{ allow: true, access: "rwm" }]
        : [
            { allow: false, access: "rwm" },
            { allow: true, type: "c", access: "m" },
            { allow: true, type: "b", access: "m" },
          ],
    };
  }
  if (!privileged) {
    spec.linux.maskedPaths = MASKED_PATHS;
    spec.linux.readonlyPaths = READONLY_PATHS;
  }
  if (typeof options.seccomp === "string") spec.annotations = { [SECCOMP_ANNOTATION]: options.seccomp };
  else if (options.seccomp !== undefined) spec.linux.seccomp = options.seccomp;
  return spec;
}

/** Where no device cgroup stands guard, no node of a device in an image, a volume or a directory of the host may be opened. */
function forbidsDevices({ cgroups, privileged }: SpecOptions): boolean {
  return !cgroups && !privileged;
}

/**
 * A user's root has no device that could be opened: who is root of a user namespace makes none. And where it is a plain directory of a file system that is
 * `nosuid`, as /run/user is, the user may not mount it again without that.
 */
function closesRoot(options: SpecOptions): boolean {
  return forbidsDevices(options) && options.rootless === undefined;
}

/** Not "/", which runtimes take for a mistake. */
const ROOT = "/.";

/**
 * The runtime binds the root file system to itself and so forgets that it was mounted `nodev`: this mounts it so again, when everything else has its
 * place. It makes it read-only as well, because the runtime's own way to do so would forget once more.
 */
function rootWithoutDevices(readOnly: boolean): OciMount {
  const options = ["remount", "bind", "nodev", ...(readOnly ? ["ro"] : [])];
  return { destination: ROOT, type: "none", source: "/", options };
}

/** Adds a mount after all others. */
export function addMount(spec: OciSpec, mount: OciMount): void {
  const at = spec.mounts.findIndex((each) => each.destination === ROOT);
  spec.mounts.splice(at < 0 ? spec.mounts.length : at, 0, mount);
}

/** The document's JSON, or that of a process alone. No limit is 2^64-1 there, which no JavaScript number is. */
export function specText(spec: OciSpec | OciProcess): string {
  return JSON.stringify(spec).replaceAll(unlimited, '"$1":18446744073709551615');
}

/** As a key: a quotation mark inside a JSON string has a backslash before it. */
const unlimited = new RegExp(`"(soft|hard)":${JSON.stringify(UNLIMITED)}\\b`, "g");

function defaultMounts(options: SpecOptions): OciMount[] {
  const kernel = ["nosuid", "noexec", "nodev"];
  const mounts: OciMount[] = [
    { destination: "/proc", type: "proc", source: "proc", options: kernel },
    {
      destination: "/dev",
      type: "tmpfs",
      source: "tmpfs",
      options: ["nosuid", "strictatime", "mode=755", "size=65536k"],
    },
    {
      destination: "/dev/pts",
      type: "devpts",
      source: "devpts",
      options: [
        ...["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
        ...(options.rootless?.ttyGroup === false ? [] : ["gid=5"]),
      ],
    },
    { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: kernel },
    {
      destination: "/dev/shm",
      type: "tmpfs",
      source: "shm",
      options: [...kernel, "mode=1777", `size=${options.shmSize}`],
    },
  ];
  // Who has not made the network namespace may not mount what shows it (the machine's own), but may bind it.
  if (options.rootless !== undefined && options.network === "host")
    mounts.push({ destination: "/sys", type: "bind", source: "/sys", options: ["rbind", ...kernel, "ro"] });
  else if (options.privileged) mounts.push({ destination: "/sys", type: "sysfs", source: "sysfs", options: kernel });
  else mounts.push({ destination: "/sys", type: "sysfs", source: "sysfs", options: [...kernel, "ro"] });
  if (options.cgroupMount) {
    const access = options.privileged ? "rw" : "ro";
    mounts.push({ destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: [...kernel, access] });
  }
  // What the caller mounts at one of these places replaces it.
  return mounts.filter((mount) => !options.mounts.some((other) => other.target === mount.destination));
}

/** `devices`: nodes in it may be opened, as far as the device cgroup lets them. */
function ociMount(mount: SpecMount, devices: boolean): OciMount {
  const access = mount.readOnly ? "ro" : "rw";
  if (mount.type === "tmpfs") {
    const given = mount.options ?? [];
    // Not both of a pair: which one wins is the runtime's choice.
    const defaults = ["nosuid", "nodev"].filter((each) => !given.includes(each.slice(2)) && !given.includes(each));
    return { destination: mount.target, type: "tmpfs", source: "tmpfs", options: [...defaults, access, ...given] };
  }
  return {
    destination: mount.target,
    type: "bind",
    source: mount.source as string,
    options: [
      ...(mount.binding ?? ["rbind", "rprivate"]),
      access,
      ...(devices ? [] : ["nodev"]),
      ...(mount.options ?? []),
    ],
  };
}
