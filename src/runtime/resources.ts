/** runtime-spec, config-linux.md, "Control groups": what a container may use. Bytes; 0 and absent say nothing. */
export interface Resources {
  memory?: {
    limit?: number;
    reservation?: number;
    /** Memory and swap together; -1: any amount of swap. */
    swap?: number;
    swappiness?: number;
    disableOOMKiller?: boolean;
  };
  cpu?: {
    shares?: number;
    /** Microseconds of processor time in a `period`. */
    quota?: number;
    period?: number;
    realtimeRuntime?: number;
    realtimePeriod?: number;
    /** `0-2,5`. */
    cpus?: string;
    mems?: string;
  };
  pids?: { limit: number };
  blockIO?: {
    weight?: number;
    weightDevice?: { major: number; minor: number; weight: number }[];
    throttleReadBpsDevice?: DeviceRate[];
    throttleWriteBpsDevice?: DeviceRate[];
    throttleReadIOPSDevice?: DeviceRate[];
    throttleWriteIOPSDevice?: DeviceRate[];
  };
  devices?: DeviceRule[];
}

export interface DeviceRate {
  major: number;
  minor: number;
  rate: number;
}

export interface DeviceRule {
  allow: boolean;
  type?: string;
  major?: number;
  minor?: number;
  access: string;
}

/** Whether it asks for anything that only a control group can give. */
export function limitsAnything(resources: Resources | undefined): boolean {
  return resources !== undefined && Object.keys(resources).length > 0;
}

/** What `update` changes, over what was there. */
export function mergeResources(old: Resources | undefined, changes: Resources): Resources {
  const merged: Resources = { ...old };
  if (changes.memory !== undefined) merged.memory = { ...old?.memory, ...changes.memory };
  if (changes.cpu !== undefined) merged.cpu = { ...old?.cpu, ...changes.cpu };
  if (changes.pids !== undefined) merged.pids = changes.pids;
  if (changes.blockIO !== undefined) merged.blockIO = { ...old?.blockIO, ...changes.blockIO };
  return merged;
}
