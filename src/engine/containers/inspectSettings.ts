import type { ContainerOptions } from "./ContainerOptions.ts";

/** What `RunSettings` are in Docker's `HostConfig`. */
export function hostSettings(options: ContainerOptions): Record<string, unknown> {
  const { memory = {}, cpu = {}, pids, blockIO = {} } = options.resources ?? {};
  // `--cpus` is a quota of a period of 100 ms, and docker shows it alone.
  const isCpus = cpu.period === 100_000 && cpu.quota !== undefined && cpu.quota > 0;
  const rates = (list: { major: number; minor: number; rate: number }[] | undefined): unknown =>
    list?.map(({ major, minor, rate }) => ({ Path: `/dev/block/${major}:${minor}`, Rate: rate })) ?? [];
  return {
    ContainerIDFile: options.cidFile ?? "",
    LogConfig: { Type: options.log?.driver ?? "json-file", Config: options.log?.options ?? {} },
    RestartPolicy: {
      Name: options.restart?.name ?? "no",
      MaximumRetryCount: options.restart?.maximumRetryCount ?? 0,
    },
    VolumeDriver: "",
    VolumesFrom: options.volumesFrom ?? null,
    ConsoleSize: [0, 0],
    ...(options.annotations === undefined ? {} : { Annotations: options.annotations }),
    CgroupnsMode: options.cgroupnsMode ?? "host",
    GroupAdd: options.groupAdd ?? null,
    IpcMode: options.ipcMode ?? "private",
    Cgroup: "",
    Links: null,
    OomScoreAdj: options.oomScoreAdj ?? 0,
    PidMode: options.pidMode ?? "",
    PublishAllPorts: false,
    UTSMode: options.utsMode ?? "",
    UsernsMode: options.usernsMode ?? "",
    Runtime: options.runtime ?? "",
    Isolation: "",
    CpuShares: cpu.shares ?? 0,
    Memory: memory.limit ?? 0,
    NanoCpus: isCpus ? (cpu.quota as number) * 10_000 : 0,
    CgroupParent: options.cgroupParent ?? "",
    BlkioWeight: blockIO.weight ?? 0,
    BlkioWeightDevice:
      blockIO.weightDevice?.map(({ major, minor, weight }) => ({
        Path: `/dev/block/${major}:${minor}`,
        Weight: weight,
      })) ?? [],
    BlkioDeviceReadBps: rates(blockIO.throttleReadBpsDevice),
    BlkioDeviceWriteBps: rates(blockIO.throttleWriteBpsDevice),
    BlkioDeviceReadIOps: rates(blockIO.throttleReadIOPSDevice),
    BlkioDeviceWriteIOps: rates(blockIO.throttleWriteIOPSDevice),
    CpuPeriod: isCpus ? 0 : (cpu.period ?? 0),
    CpuQuota: isCpus ? 0 : (cpu.quota ?? 0),
    CpuRealtimePeriod: cpu.realtimePeriod ?? 0,
    CpuRealtimeRuntime: cpu.realtimeRuntime ?? 0,
    CpusetCpus: cpu.cpus ?? "",
    CpusetMems: cpu.mems ?? "",
    Devices: (options.devices ?? []).map((device) => ({
      PathOnHost: device.source,
      PathInContainer: device.target,
      CgroupPermissions: device.access,
    })),
    DeviceCgroupRules: options.deviceRules ?? null,
    DeviceRequests: null,
    MemoryReservation: memory.reservation ?? 0,
    MemorySwap: memory.swap ?? 0,
    MemorySwappiness: memory.swappiness ?? null,
    OomKillDisable: memory.disableOOMKiller ?? null,
    PidsLimit: pids?.limit ?? null,
    Sysctls: options.sysctls ?? {},
    Ulimits: (options.rlimits ?? []).map(({ type, soft, hard }) => ({
      Name: type.slice("RLIMIT_".length).toLowerCase(),
      Hard: limit(hard),
      Soft: limit(soft),
    })),
    CpuCount: 0,
    CpuPercent: 0,
    IOMaximumIOps: 0,
    IOMaximumBandwidth: 0,
    Mounts: options.mountRequests?.map((mount) => ({
      Type: mount.type,
      ...(mount.source === undefined ? {} : { Source: mount.source }),
      Target: mount.target,
      ...(mount.readOnly ? { ReadOnly: true } : {}),
    })),
  };
}

/** -1 is none, as `--ulimit` has it. */
function limit(value: number): number {
  return value >= 2 ** 64 ? -1 : value;
}
