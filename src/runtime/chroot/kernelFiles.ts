import { readFileSync } from "node:fs";
import { O_CREAT, O_DIRECTORY, O_EXCL, O_RDONLY, O_WRONLY, S_IFCHR, S_IFIFO } from "../../linux/constants.ts";
import type { Linux } from "../../linux/Linux.ts";
import { isErrno } from "../../linux/LinuxError.ts";

/** What every program may expect of /dev: major and minor number. */
const DEVICES: Record<string, [major: number, minor: number]> = {
  null: [1, 3],
  zero: [1, 5],
  full: [1, 7],
  random: [1, 8],
  urandom: [1, 9],
  tty: [5, 0],
};

/**
 * A /dev of plain files: the nodes of {@link DEVICES}, places for what others mount there, and `stdout` and `stderr`, which are pipes that the caller
 * reads (`terminal`: the terminal). Without the leave to make nodes, `null` is an empty file, and the others are not there. Returns whether it has nodes.
 */
export function makeDev(linux: Linux, parent: number, name: string, { terminal }: { terminal: boolean }): boolean {
  linux.mkdirat(parent, name, 0o755);
  const dev = linux.openat(parent, name, O_RDONLY | O_DIRECTORY);
  try {
    linux.fchmod(dev, 0o755);
    for (const each of ["pts", "mqueue", "shm"]) {
      linux.mkdirat(dev, each, 0o755);
      if (each !== "pts") linux.fchmodat(dev, each, 0o1777);
    }
    const hasNodes = makeNodes(linux, dev);
    linux.symlinkat("/proc/self/fd", dev, "fd");
    linux.symlinkat("null", dev, "stdin");
    for (const each of ["stdout", "stderr"]) {
      if (terminal) linux.symlinkat("tty", dev, each);
      else {
        linux.mknodat(dev, each, S_IFIFO | 0o666, 0, 0);
        linux.fchmodat(dev, each, 0o666);
      }
    }
    return hasNodes;
  } finally {
    linux.close(dev);
  }
}

function makeNodes(linux: Linux, dev: number): boolean {
  try {
    for (const [each, [major, minor]] of Object.entries(DEVICES)) {
      linux.mknodat(dev, each, S_IFCHR | 0o666, major, minor);
      linux.fchmodat(dev, each, 0o666);
    }
    // It may lie on a file system whose nodes nobody can open.
    linux.close(linux.openat(dev, "null", O_WRONLY));
    return true;
  } catch (error) {
    if (!isErrno(error, "EPERM", "EACCES", "ENXIO")) throw error;
    for (const each of Object.keys(DEVICES))
      if (linux.statatOrUndefined(dev, each) !== undefined) linux.unlinkat(dev, each);
    linux.close(linux.openat(dev, "null", O_WRONLY | O_CREAT | O_EXCL, 0o666));
    linux.fchmodat(dev, "null", 0o666);
    return false;
  }
}

/** What of /proc tells of the machine and not of a process: as it is when the step begins. */
const PROC = [
  "cpuinfo",
  "filesystems",
  "loadavg",
  "meminfo",
  "stat",
  "uptime",
  "version",
  ...["cap_last_cap", "hostname", "ngroups_max", "osrelease", "ostype", "overflowgid", "overflowuid", "pid_max"].map(
    (name) => `sys/kernel/${name}`,
  ),
  "sys/kernel/random/boot_id",
  "sys/vm/overcommit_memory",
];
const MOUNTS = "rootfs / rootfs rw 0 0\n";

/** A /proc of plain files, with nothing of any process but the names of its three first descriptors. */
export function makeProc(linux: Linux, parent: number, name: string): void {
  linux.mkdirat(parent, name, 0o755);
  const proc = linux.openat(parent, name, O_RDONLY | O_DIRECTORY);
  const made = new Set<string>();
  const put = (path: string, content: string): void => {
    const parts = path.split("/");
    for (let length = 1; length < parts.length; length++) {
      const directory = parts.slice(0, length).join("/");
      if (!made.has(directory)) linux.mkdirat(proc, directory, 0o755);
      made.add(directory);
    }
    const fd = linux.openat(proc, path, O_WRONLY | O_CREAT | O_EXCL, 0o444);
    linux.write(fd, Buffer.from(content));
    linux.close(fd);
  };
  try {
    for (const path of PROC) {
      let content: string;
      try {
        content = readFileSync(`/proc/${path}`, "utf8");
      } catch {
        continue; // another kernel, or kept from us
      }
      put(path, content);
    }
    put("mounts", MOUNTS);
    put("self/mounts", MOUNTS);
    linux.mkdirat(proc, "self/fd", 0o755);
    for (const [number, stream] of ["stdin", "stdout", "stderr"].entries())
      linux.symlinkat(`/dev/${stream}`, proc, `self/fd/${number}`);
  } finally {
    linux.close(proc);
  }
}
