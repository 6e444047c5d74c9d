import type { Rlimit } from "../../runtime/rlimits.ts";
import type { Resources } from "../../runtime/resources.ts";

/** A mount as `--mount` gives it, checked. */
export interface MountRequest {
  type: "bind" | "volume" | "tmpfs" | "image";
  source?: string;
  target: string;
  readOnly: boolean;
  /** `rprivate` and its kin. */
  propagation?: string;
  /** The host directory is made where it is missing. */
  createSource?: boolean;
  /** Mounts below the source do not come along. */
  nonRecursive?: boolean;
  /** Mounts below the source are read-only, too, where the kernel can (`writable`: left as they are; `forced`: or it is an error). */
  recursiveReadOnly?: "writable" | "readonly";
  /** A volume takes nothing over from the image. */
  noCopy?: boolean;
  /** A path inside the volume or image instead of the whole. */
  subpath?: string;
  labels?: Record<string, string>;
  tmpfsSize?: number;
  tmpfsMode?: number;
}

export interface DeviceRequest {
  source: string;
  target: string;
  /** Of r, w and m. */
  access: string;
}

export interface RestartPolicy {
  name: "no" | "always" | "unless-stopped" | "on-failure";
  /** Of `on-failure`; 0 is no end. */
  maximumRetryCount: number;
}

export interface HealthOptions {
  /** Docker's form: `["CMD-SHELL", …]`, `["NONE"]`. */
  Test?: string[];
  /** Nanoseconds. */
  Interval?: number;
  Timeout?: number;
  StartPeriod?: number;
  StartInterval?: number;
  Retries?: number;
}

/** What `run` and `create` can be told beyond the common: all optional, and nothing that was not asked for is recorded. */
export interface RunSettings {
  domainname?: string;
  groupAdd?: string[];
  health?: HealthOptions;
  restart?: RestartPolicy;
  mountRequests?: MountRequest[];
  volumesFrom?: string[];
  devices?: DeviceRequest[];
  /** `c 1:3 rwm`, as the version 1 device controller takes them. */
  deviceRules?: string[];
  rlimits?: Rlimit[];
  sysctls?: Record<string, string>;
  /** `host`, `private`, `container:ID`, … as Docker's CLI takes them. */
  pidMode?: string;
  ipcMode?: string;
  utsMode?: string;
  cgroupnsMode?: string;
  usernsMode?: string;
  resources?: Resources;
  cgroupParent?: string;
  oomScoreAdj?: number;
  annotations?: Record<string, string>;
  /** Docker's text form, `ctrl-p,ctrl-q`. */
  detachKeys?: string;
  /** Streams to be attached to, of stdin, stdout and stderr. */
  attach?: string[];
  log?: { driver: string; options: Record<string, string> };
  /** What `--security-opt seccomp=FILE` holds. */
  seccompProfile?: string;
  runtime?: string;
  /** Where its ID was written to. */
  cidFile?: string;
}
