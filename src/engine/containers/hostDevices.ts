import { readdirSync, realpathSync, statSync } from "node:fs";
import { AT_FDCWD, S_IFBLK, S_IFCHR, S_IFMT } from "../../linux/constants.ts";
import type { Linux } from "../../linux/Linux.ts";
import { SlipwayError } from "../../oci/SlipwayError.ts";
import type { OciDevice } from "../../runtime/OciSpec.ts";
import type { DeviceRequest } from "./RunSettings.ts";

/** Every container has its own of these. */
const OWN = new Set([
  "pts",
  "shm",
  "fd",
  "mqueue",
  "console",
  "ptmx",
  "core",
  ".lxc",
  "lxd-fuse",
  "stdin",
  "stdout",
  "stderr",
]);

/** A device node of the host, and what it is in a container. */
export interface HostDevice {
  source: string;
  device: OciDevice;
}

/** What `--device` asks for: the device, or all devices below a directory. @throws SlipwayError `INVALID_OPTION` */
export function requestedDevices(linux: Linux, request: DeviceRequest): HostDevice[] {
  let source: string;
  try {
    source = realpathSync(request.source);
  } catch (error) {
    throw new SlipwayError("INVALID_OPTION", `error gathering device information: ${request.source}: no such device`, {
      cause: error,
      exitCode: 125,
    });
  }
  if (statSync(source).isDirectory()) return devicesBelow(linux, source, request.target);
  const device = deviceAt(linux, source, request.target);
  if (device !== undefined) return [device];
  throw new SlipwayError("INVALID_OPTION", `error gathering device information: ${request.source}: not a device node`, {
    hint: "To mount a file or directory: -v.",
    exitCode: 125,
  });
}

/** All devices of the host, for `--privileged`. */
export function allDevices(linux: Linux): HostDevice[] {
  return devicesBelow(linux, "/dev", "/dev");
}

function devicesBelow(linux: Linux, directory: string, target: string): HostDevice[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    if (directory === "/dev" && OWN.has(entry.name)) return [];
    const path = `${directory}/${entry.name}`;
    if (entry.isDirectory()) return devicesBelow(linux, path, `${target}/${entry.name}`);
    return deviceAt(linux, path, `${target}/${entry.name}`) ?? [];
  });
}

function deviceAt(linux: Linux, path: string, target: string): HostDevice | undefined {
  const stat = linux.statatOrUndefined(AT_FDCWD, path);
  const type = (stat?.mode ?? 0) & S_IFMT;
  if (stat === undefined || (type !== S_IFCHR && type !== S_IFBLK)) return undefined;
  return {
    source: path,
    device: {
      path: target,
      type: type === S_IFBLK ? "b" : "c",
      major: stat.rdevMajor,
      minor: stat.rdevMinor,
      fileMode: stat.mode & 0o777,
      uid: stat.uid,
      gid: stat.gid,
    },
  };
}
