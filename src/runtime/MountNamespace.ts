import { existsSync, mkdirSync, readdirSync } from "node:fs";
import {
  CLONE_NEWCGROUP,
  CLONE_NEWNS,
  MNT_DETACH,
  MS_BIND,
  MS_NODEV,
  MS_NOEXEC,
  MS_NOSUID,
  MS_REC,
  MS_REMOUNT,
  MS_SLAVE,
} from "../linux/constants.ts";
import type { Linux } from "../linux/Linux.ts";
import { inUserNamespace } from "../linux/userNamespace.ts";
import { isErrno } from "../linux/LinuxError.ts";
import { runDirectory } from "./runtimeCommand.ts";

/**
 * A mount namespace of this process's main thread, which every process spawned from now on inherits. When the last of them ends,
 * all its mounts are gone: nothing is to be cleaned up, after whatever end. Mounts of the host keep appearing in it, its own never
 * appear outside. File access by other threads goes on in the old namespace.
 */
export interface MountNamespace {
  /** Puts a detached mount at the existing directory `target`; device nodes in it cannot be opened unless `devices`. */
  attach(mountfd: number, target: string, options?: { devices?: boolean }): void;
  /** Takes it away again at once, busy or not. Nothing happens where there is none. */
  detach(target: string): void;
}

/**
 * Needs CAP_SYS_ADMIN. `cgroupView` shows a plain cgroup2 tree at /sys/fs/cgroup; `keepCgroups`: what that covers can still be reached
 * below {@link keptCgroups}.
 */
export function enterMountNamespace(
  linux: Linux,
  options: { cgroupView: boolean; keepCgroups?: boolean },
): MountNamespace {
  // Only who has made a cgroup namespace may mount the tree of one; the machine's root has made the first.
  linux.unshare(CLONE_NEWNS | (options.cgroupView && inUserNamespace() ? CLONE_NEWCGROUP : 0));
  linux.mount("none", "/", "", MS_REC | MS_SLAVE);
  if (options.cgroupView && options.keepCgroups === true) keepCgroups(linux);
  if (options.cgroupView) showCgroup2(linux);
  return {
    attach(mountfd, target, attach) {
      linux.moveMount(mountfd, target);
      if (attach?.devices !== true) remountBind(linux, target, MS_NODEV);
    },
    detach(target) {
      try {
        linux.umount(target, MNT_DETACH);
      } catch (error) {
        if (!isErrno(error, "EINVAL", "ENOENT")) throw error;
      }
    },
  };
}

/**
 * Sets the mount's flags to these and no others. A plain directory has those of the file system that it lies on, and root of a user namespace may take none
 * of them away: what it has to keep, it keeps.
 */
export function remountBind(linux: Linux, target: string, flags: number): void {
  for (const kept of [0, MS_NOSUID, MS_NOEXEC, MS_NOSUID | MS_NOEXEC]) {
    try {
      linux.mount("none", target, "", MS_REMOUNT | MS_BIND | flags | kept);
      return;
    } catch (error) {
      if (!isErrno(error, "EPERM") || kept === (MS_NOSUID | MS_NOEXEC)) throw error;
    }
  }
}

/** Where this namespace has the host's trees of control groups. */
function keptCgroups(): string {
  return `${runDirectory()}/cgroup`;
}

function keepCgroups(linux: Linux): void {
  if (existsSync(`${keptCgroups()}/cgroup.procs`) || readdirSync(CGROUPS).length === 0) return;
  mkdirSync(keptCgroups(), { recursive: true });
  if (readdirSync(keptCgroups()).length > 0) return; // done before by this process
  linux.mount(CGROUPS, keptCgroups(), "", MS_BIND | MS_REC);
}

const CGROUPS = "/sys/fs/cgroup";

function showCgroup2(linux: Linux): void {
  try {
    linux.mount("cgroup2", CGROUPS, "cgroup2", 0);
  } catch (error) {
    // The kernel refuses to mount what stands there already: we were in such a namespace before.
    if (!isErrno(error, "EBUSY")) throw error;
  }
}
