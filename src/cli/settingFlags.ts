import { readFileSync } from "node:fs";
import { parseGoDuration } from "../dockerfile/goDuration.ts";
import type { DeviceRequest, HealthOptions, RestartPolicy, RunSettings } from "../engine/containers/RunSettings.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { parseUlimits } from "../runtime/rlimits.ts";
import { type Call, flag, given, keyValue, list, number, text } from "./Command.ts";
import type { Flag } from "./flags.ts";
import { resourceFlags, resourcesOf } from "./resourceFlags.ts";

const never = (reason: string): Flag => ({ type: "string", help: "", unsupported: reason });
const windows = never("it has a meaning on Windows only");

/** Flags of `run` and `create` beyond the common ones: all that Docker has, or the reason why not. */
export const settingFlags: Record<string, Flag> = {
  ...resourceFlags,
  annotation: { type: "list", help: "Annotation for the OCI runtime, KEY=VALUE" },
  attach: { type: "list", short: "a", help: "Attach to stdin, stdout or stderr alone" },
  "cgroup-parent": { type: "string", help: "Control group to make the container's in (default slipway)" },
  cgroupns: { type: "string", help: "Control group namespace: host or private" },
  "detach-keys": { type: "string", help: "Keys that leave the container running (default ctrl-p,ctrl-q)" },
  device: { type: "list", help: "Device of the host, PATH[:PATH_INSIDE[:rwm]]" },
  "device-cgroup-rule": { type: "list", help: "Rule of the device controller, for example 'c 1:3 rwm'" },
  domainname: { type: "string", help: "NIS domain name" },
  "group-add": { type: "list", help: "Further group of the user, name or number" },
  "health-cmd": { type: "string", help: "Command that tells whether the container is healthy" },
  "health-interval": { type: "string", help: "Time between two checks (default 30s)" },
  "health-timeout": { type: "string", help: "Time after which a check has failed (default 30s)" },
  "health-retries": { type: "int", help: "Failures in a row that make it unhealthy (default 3)" },
  "health-start-period": { type: "string", help: "Time in which failures do not count (default 0s)" },
  "health-start-interval": { type: "string", help: "Time between checks in the start period (default 5s)" },
  "no-healthcheck": { type: "bool", help: "No health check, whatever the image says" },
  ipc: { type: "string", help: "IPC namespace: private, none, shareable, host, container:NAME" },
  "label-file": { type: "list", help: "File of labels, a line each" },
  "log-driver": { type: "string", help: "json-file (default), local or none" },
  "log-opt": { type: "list", help: "max-size=10m, max-file=3" },
  mount: { type: "list", help: "type=bind|volume|tmpfs|image,src=…,dst=…[,ro]" },
  "oom-score-adj": { type: "int", help: "-1000 to 1000: how readily the kernel ends it for want of memory" },
  pid: { type: "string", help: "Process namespace: host, container:NAME" },
  restart: { type: "string", help: "no, always, unless-stopped, on-failure[:MAX]" },
  runtime: { type: "string", help: "OCI runtime: crun, runc or a path" },
  sysctl: { type: "list", help: "Kernel parameter of its namespaces, KEY=VALUE" },
  ulimit: { type: "list", help: "Resource limit, nofile=1024[:2048]" },
  userns: { type: "string", help: "User namespace: host" },
  uts: { type: "string", help: "UTS namespace: host" },
  "volumes-from": { type: "list", help: "The mounts of another container, NAME[:ro]" },
  "volume-driver": { type: "string", help: "local" },
  quiet: { type: "bool", short: "q", help: "Say nothing of a pull" },
  "disable-content-trust": { type: "bool", help: "Accepted: content trust is Docker's past" },
  gpus: never(
    "it takes Docker's own hook; give the devices by --device, or use an OCI runtime of the vendor by --runtime",
  ),
  "cpu-count": windows,
  "cpu-percent": windows,
  "io-maxbandwidth": windows,
  "io-maxiops": windows,
  isolation: windows,
  "kernel-memory": never("the kernel has no such limit any more"),
  "storage-opt": never("the overlay of a container has no size of its own"),
  "use-api-socket": { type: "bool", help: "", unsupported: "there is no daemon whose socket could be given" },
};

/** What `settingFlags` say. @throws SlipwayError `USAGE` */
export function settingsOf(call: Call): RunSettings {
  const devices = list(call, "device").map(deviceOf);
  const ulimits = list(call, "ulimit");
  const sysctls = Object.fromEntries(list(call, "sysctl").map(keyValue));
  const annotations = Object.fromEntries(list(call, "annotation").map(keyValue));
  const restart = text(call, "restart");
  const profile = list(call, "security-opt")
    .findLast((each) => /^seccomp[=:]/.test(each))
    ?.slice("seccomp=".length);
  if (restart !== undefined && flag(call, "rm") && restartPolicy(restart).name !== "no") {
    fail("conflicting options: cannot specify both --restart and --rm");
  }
  const driver = text(call, "volume-driver");
  if (driver !== undefined && driver !== "local") fail(`volume driver ${driver} is not there: there is local`);
  return {
    ...given("domainname", text(call, "domainname")),
    ...given("groupAdd", some(list(call, "group-add"))),
    ...given("health", healthOf(call)),
    ...given("restart", restart === undefined ? undefined : restartPolicy(restart)),
    ...given("mountRequests", some(list(call, "mount").map(mountRequest))),
    ...given("volumesFrom", some(list(call, "volumes-from"))),
    ...given("devices", some(devices)),
    ...given("deviceRules", some(list(call, "device-cgroup-rule").map(deviceRuleOf))),
    ...given("rlimits", ulimits.length === 0 ? undefined : parseUlimits(ulimits)),
    ...given("sysctls", Object.keys(sysctls).length === 0 ? undefined : sysctls),
    ...given("annotations", Object.keys(annotations).length === 0 ? undefined : annotations),
    ...given("pidMode", text(call, "pid")),
    ...given("ipcMode", text(call, "ipc")),
    ...given("utsMode", text(call, "uts")),
    ...given("cgroupnsMode", text(call, "cgroupns")),
    ...given("usernsMode", text(call, "userns")),
    ...given("resources", resourcesOf(call)),
    ...given("cgroupParent", text(call, "cgroup-parent")),
    ...given("oomScoreAdj", oomOf(call)),
    ...given("detachKeys", text(call, "detach-keys")),
    ...given("attach", attachOf(call)),
    ...given("log", logOf(call)),
    ...given("seccompProfile", profile === undefined || profile === "unconfined" ? undefined : profileOf(profile)),
    ...given("runtime", text(call, "runtime")),
    ...given("cidFile", text(call, "cidfile")),
  };
}

/** `no`, `always`, `unless-stopped`, `on-failure[:N]`. @throws SlipwayError `USAGE` */
export function restartPolicy(value: string): RestartPolicy {
  const [name = "", count, ...more] = value.split(":");
  const known = ["no", "always", "unless-stopped", "on-failure"] as const;
  const found = known.find((each) => each === (name === "" ? "no" : name));
  if (found === undefined) fail(`invalid restart policy: unknown policy '${name}'; use one of ${known.join(", ")}`);
  if (more.length > 0 || (count !== undefined && !/^\d+$/.test(count))) fail(`invalid restart policy format: ${value}`);
  if (count !== undefined && Number(count) > 0 && found !== "on-failure")
    fail("invalid restart policy: maximum retry count can only be used with 'on-failure'");
  return { name: found as RestartPolicy["name"], maximumRetryCount: Number(count ?? 0) };
}

function healthOf(call: Call): HealthOptions | undefined {
  const cmd = text(call, "health-cmd");
  const times = [
    ["health-interval", "Interval"],
    ["health-timeout", "Timeout"],
    ["health-start-period", "StartPeriod"],
    ["health-start-interval", "StartInterval"],
  ] as const;
  const found: HealthOptions = {};
  for (const [name, key] of times) {
    const value = text(call, name);
    if (value === undefined) continue;
    const duration = parseGoDuration(value);
    if (duration === undefined) fail(`invalid argument "${value}" for --${name}: not a duration`);
    if ((duration as number) < 0) fail(`--${name} cannot be negative`);
    found[key] = duration as number;
  }
  const retries = number(call, "health-retries");
  if (retries !== undefined) {
    if (retries < 0) fail("--health-retries cannot be negative");
    found.Retries = retries;
  }
  if (cmd !== undefined) found.Test = ["CMD-SHELL", cmd];
  if (flag(call, "no-healthcheck")) {
    if (Object.keys(found).length > 0) fail("--no-healthcheck conflicts with --health-* options");
    return { Test: ["NONE"] };
  }
  return Object.keys(found).length === 0 ? undefined : found;
}

function deviceOf(entry: string): DeviceRequest {
  const [source = "", second, third, ...more] = entry.split(":");
  const isAccess = (part: string | undefined): boolean => part !== undefined && /^[rwm]{1,3}$/.test(part);
  if (source === "" || more.length > 0) fail(`invalid device specification: ${entry}`);
  if (third !== undefined && !isAccess(third)) fail(`invalid device mode: ${third}`);
  const target = second === undefined || (third === undefined && isAccess(second)) ? source : second;
  if (!target.startsWith("/")) fail(`invalid device specification: ${entry}: ${target} is not an absolute path`);
  return { source, target, access: third ?? (isAccess(second) ? (second as string) : "rwm") };
}

function deviceRuleOf(rule: string): string {
  if (!/^[acb] ([0-9]+|\*):([0-9]+|\*) [rwm]{1,3}$/.test(rule)) fail(`invalid device cgroup format '${rule}'`);
  return rule;
}

function oomOf(call: Call): number | undefined {
  const value = number(call, "oom-score-adj");
  if (value !== undefined && (value < -1000 || value > 1000))
    fail(`invalid value ${value}, range for oom score adj is [-1000, 1000]`);
  return value;
}

function attachOf(call: Call): string[] | undefined {
  const streams = list(call, "attach").map((each) => each.toLowerCase());
  for (const each of streams) {
    if (!["stdin", "stdout", "stderr"].includes(each))
      fail(`invalid argument "${each}" for --attach: valid streams are STDIN, STDOUT and STDERR`);
  }
  if (streams.length > 0 && call.values.detach === true)
    fail("conflicting options: cannot specify both --attach and --detach");
  return some(streams);
}

function logOf(call: Call): RunSettings["log"] {
  const driver = text(call, "log-driver");
  const options = Object.fromEntries(list(call, "log-opt").map(keyValue));
  if (driver === undefined && Object.keys(options).length === 0) return undefined;
  return { driver: driver ?? "json-file", options };
}

function profileOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new SlipwayError("USAGE", `opening seccomp profile (${path}) failed`, { cause: error, exitCode: 125 });
  }
}

function some<T>(values: T[]): T[] | undefined {
  return values.length === 0 ? undefined : values;
}

function fail(message: string): never {
  throw new SlipwayError("USAGE", message, { exitCode: 125 });
}

function mountRequest(text: string): ReturnType<typeof import("./parseMountFlag.ts").parseMountFlag> {
  const { parseMountFlag } = require("./parseMountFlag.ts") as typeof import("./parseMountFlag.ts");
  return parseMountFlag(text);
}
