import type { DeviceRate, DeviceRule, Resources } from "./resources.ts";

/** One thing to write into a file of a control group. */
export interface CgroupSetting {
  /** Whose file it is: `memory`, `cpu`, `cpuset`, `pids`, `blkio` (v1), `io` (v2), `devices` (v1). */
  controller: string;
  file: string;
  value: string;
  /** What asked for it, as a flag: for the error where it cannot be had. */
  flag: string;
}

/** Version 1, Documentation/admin-guide/cgroup-v1. In the order in which the kernel takes them. */
export function settingsV1(resources: Resources): CgroupSetting[] {
  const out: CgroupSetting[] = [];
  const put = (flag: string, file: string, value: number | string | undefined): void => {
    const controller = file.slice(0, file.indexOf("."));
    if (value !== undefined) out.push({ controller, file, value: String(value), flag });
  };
  const { memory = {}, cpu = {}, pids, blockIO = {} } = resources;
  put("--memory", "memory.limit_in_bytes", memory.limit);
  put("--memory-swap", "memory.memsw.limit_in_bytes", memory.swap);
  put("--memory-reservation", "memory.soft_limit_in_bytes", memory.reservation);
  put("--memory-swappiness", "memory.swappiness", memory.swappiness);
  if (memory.disableOOMKiller === true) put("--oom-kill-disable", "memory.oom_control", 1);
  put("--cpu-shares", "cpu.shares", cpu.shares);
  put("--cpu-period", "cpu.cfs_period_us", cpu.period);
  put("--cpu-quota", "cpu.cfs_quota_us", cpu.quota);
  put("--cpu-rt-period", "cpu.rt_period_us", cpu.realtimePeriod);
  put("--cpu-rt-runtime", "cpu.rt_runtime_us", cpu.realtimeRuntime);
  put("--cpuset-cpus", "cpuset.cpus", cpu.cpus);
  put("--cpuset-mems", "cpuset.mems", cpu.mems);
  if (pids !== undefined) put("--pids-limit", "pids.max", pids.limit <= 0 ? "max" : pids.limit);
  put("--blkio-weight", "blkio.bfq.weight", blockIO.weight);
  for (const each of blockIO.weightDevice ?? []) {
    put("--blkio-weight-device", "blkio.bfq.weight_device", `${each.major}:${each.minor} ${each.weight}`);
  }
  const rates = (flag: string, file: string, list: DeviceRate[] | undefined): void => {
    for (const each of list ?? []) put(flag, file, `${each.major}:${each.minor} ${each.rate}`);
  };
  rates("--device-read-bps", "blkio.throttle.read_bps_device", blockIO.throttleReadBpsDevice);
  rates("--device-write-bps", "blkio.throttle.write_bps_device", blockIO.throttleWriteBpsDevice);
  rates("--device-read-iops", "blkio.throttle.read_iops_device", blockIO.throttleReadIOPSDevice);
  rates("--device-write-iops", "blkio.throttle.write_iops_device", blockIO.throttleWriteIOPSDevice);
  for (const rule of resources.devices ?? []) {
    put("--device", rule.allow ? "devices.allow" : "devices.deny", deviceRule(rule));
  }
  return out;
}

/** Version 2, Documentation/admin-guide/cgroup-v2. What it has no file for is named with the controller "none". */
export function settingsV2(resources: Resources): CgroupSetting[] {
  const out: CgroupSetting[] = [];
  const put = (flag: string, file: string, value: number | string | undefined): void => {
    const controller = file.slice(0, file.indexOf("."));
    if (value !== undefined) out.push({ controller, file, value: String(value), flag });
  };
  const none = (flag: string, value: unknown): void => {
    if (value !== undefined && value !== false) out.push({ controller: "none", file: "", value: "", flag });
  };
  const { memory = {}, cpu = {}, pids, blockIO = {} } = resources;
  put("--memory", "memory.max", memory.limit);
  if (memory.swap !== undefined) {
    put("--memory-swap", "memory.swap.max", memory.swap < 0 ? "max" : memory.swap - (memory.limit ?? 0));
  }
  put("--memory-reservation", "memory.low", memory.reservation);
  none("--memory-swappiness", memory.swappiness);
  none("--oom-kill-disable", memory.disableOOMKiller);
  if (cpu.shares !== undefined) {
    // The runtimes' mapping of 2…262144 to 1…10000.
    put("--cpu-shares", "cpu.weight", Math.floor(1 + ((cpu.shares - 2) * 9999) / 262_142));
  }
  if (cpu.quota !== undefined || cpu.period !== undefined) {
    const quota = cpu.quota === undefined || cpu.quota < 0 ? "max" : cpu.quota;
    put("--cpus", "cpu.max", `${quota} ${cpu.period ?? 100_000}`);
  }
  none("--cpu-rt-period", cpu.realtimePeriod);
  none("--cpu-rt-runtime", cpu.realtimeRuntime);
  put("--cpuset-cpus", "cpuset.cpus", cpu.cpus);
  put("--cpuset-mems", "cpuset.mems", cpu.mems);
  if (pids !== undefined) put("--pids-limit", "pids.max", pids.limit <= 0 ? "max" : pids.limit);
  put("--blkio-weight", "io.bfq.weight", blockIO.weight);
  for (const each of blockIO.weightDevice ?? []) {
    put("--blkio-weight-device", "io.bfq.weight", `${each.major}:${each.minor} ${each.weight}`);
  }
  const rates = (flag: string, key: string, list: DeviceRate[] | undefined): void => {
    for (const each of list ?? []) put(flag, "io.max", `${each.major}:${each.minor} ${key}=${each.rate}`);
  };
  rates("--device-read-bps", "rbps", blockIO.throttleReadBpsDevice);
  rates("--device-write-bps", "wbps", blockIO.throttleWriteBpsDevice);
  rates("--device-read-iops", "riops", blockIO.throttleReadIOPSDevice);
  rates("--device-write-iops", "wiops", blockIO.throttleWriteIOPSDevice);
  if ((resources.devices ?? []).length > 0) none("--device", true);
  return out;
}

function deviceRule(rule: DeviceRule): string {
  if (rule.type === undefined || rule.type === "a") return "a";
  const number = (value: number | undefined): string => (value === undefined ? "*" : String(value));
  return `${rule.type} ${number(rule.major)}:${number(rule.minor)} ${rule.access}`;
}
