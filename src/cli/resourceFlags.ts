import { statSync } from "node:fs";
import type { DeviceRate, Resources } from "../runtime/resources.ts";
import { SlipwayError } from "../oci/SlipwayError.ts";
import { type Call, flag, list, number, text } from "./Command.ts";
import type { Flag } from "./flags.ts";
import { bytes } from "./sizes.ts";

const MIN_MEMORY = 6 * 1024 * 1024; // Docker's

/** Limits that `update` can change, too. */
export const updateResourceFlags: Record<string, Flag> = {
  memory: { type: "string", short: "m", help: "Memory limit" },
  "memory-swap": { type: "string", help: "Limit of memory and swap together; -1: no limit of swap" },
  "memory-reservation": { type: "string", help: "Soft memory limit" },
  cpus: { type: "string", help: "Number of processors, 0.5 for a half" },
  "cpu-shares": { type: "int", short: "c", help: "Weight against other containers" },
  "cpu-period": { type: "int", help: "Microseconds of a scheduler period" },
  "cpu-quota": { type: "int", help: "Microseconds of processor time in a period" },
  "cpu-rt-period": { type: "int", help: "The same for real-time processes: period" },
  "cpu-rt-runtime": { type: "int", help: "The same for real-time processes: time" },
  "cpuset-cpus": { type: "string", help: "Processors to run on (0-3, 0,1)" },
  "cpuset-mems": { type: "string", help: "Memory nodes to use" },
  "pids-limit": { type: "int", help: "Number of processes; -1: no limit" },
  "blkio-weight": { type: "int", help: "Weight of block I/O, 10 to 1000" },
};

export const resourceFlags: Record<string, Flag> = {
  ...updateResourceFlags,
  "memory-swappiness": { type: "int", help: "How readily memory is swapped, 0 to 100" },
  "oom-kill-disable": { type: "bool", help: "No process is killed for want of memory" },
  "blkio-weight-device": { type: "list", help: "Weight of a device, DEVICE:WEIGHT" },
  "device-read-bps": { type: "list", help: "Bytes per second read from a device, DEVICE:RATE" },
  "device-write-bps": { type: "list", help: "Bytes per second written to a device" },
  "device-read-iops": { type: "list", help: "Reads per second from a device" },
  "device-write-iops": { type: "list", help: "Writes per second to a device" },
};

/** Only what was asked for; undefined where that is nothing. @throws SlipwayError `USAGE` */
export function resourcesOf(call: Call): Resources | undefined {
  const resources: Resources = {};
  const memory = memoryOf(call);
  if (memory !== undefined) resources.memory = memory;
  const cpu = cpuOf(call);
  if (cpu !== undefined) resources.cpu = cpu;
  const pids = number(call, "pids-limit");
  if (pids !== undefined) resources.pids = { limit: pids };
  const blockIO = blockIOOf(call);
  if (blockIO !== undefined) resources.blockIO = blockIO;
  return Object.keys(resources).length === 0 ? undefined : resources;
}

function memoryOf(call: Call): Resources["memory"] {
  const limit = size(call, "memory");
  const swap = size(call, "memory-swap");
  const reservation = size(call, "memory-reservation");
  const swappiness = number(call, "memory-swappiness");
  if (limit !== undefined && limit > 0 && limit < MIN_MEMORY) fail("minimum memory limit allowed is 6MB");
  if (reservation !== undefined && reservation > 0 && reservation < MIN_MEMORY)
    fail("minimum memory reservation allowed is 6MB");
  if (swap !== undefined && swap > 0 && limit === undefined)
    fail("you should always set the memory limit when using the memory-swap limit");
  if (swap !== undefined && swap > 0 && swap < (limit ?? 0)) fail("--memory-swap must not be smaller than --memory");
  if (limit !== undefined && reservation !== undefined && limit > 0 && limit < reservation)
    fail("minimum memory limit can not be less than memory reservation limit");
  if (swappiness !== undefined && swappiness !== -1 && (swappiness < 0 || swappiness > 100))
    fail(`invalid value: ${swappiness}: --memory-swappiness is between 0 and 100`);
  const found: NonNullable<Resources["memory"]> = {};
  if (limit !== undefined && limit > 0) found.limit = limit;
  if (reservation !== undefined && reservation > 0) found.reservation = reservation;
  if (swap !== undefined && swap !== 0) found.swap = swap;
  // Docker's: as much swap as memory.
  else if (found.limit !== undefined && swap === undefined) found.swap = found.limit * 2;
  if (swappiness !== undefined && swappiness !== -1) found.swappiness = swappiness;
  if (flag(call, "oom-kill-disable")) found.disableOOMKiller = true;
  return Object.keys(found).length === 0 ? undefined : found;
}

function cpuOf(call: Call): Resources["cpu"] {
  const found: NonNullable<Resources["cpu"]> = {};
  const cpus = text(call, "cpus");
  const quota = number(call, "cpu-quota");
  const period = number(call, "cpu-period");
  if (cpus !== undefined) {
    const value = Number(cpus);
    if (!/^\d*\.?\d+$/.test(cpus)) fail(`invalid argument "${cpus}" for --cpus: not a number`);
    if (quota !== undefined || period !== undefined)
      fail("conflicting options: --cpus and --cpu-period or --cpu-quota");
    const { availableParallelism } = require("node:os") as typeof import("node:os");
    const here = availableParallelism();
    if (value !== 0 && (value < 0.01 || value > here))
      fail(`range of CPUs is from 0.01 to ${here}.00, as there are only ${here} CPUs available`);
    if (value !== 0) {
      found.period = 100_000;
      found.quota = Math.round(value * 100_000);
    }
  }
  const shares = number(call, "cpu-shares");
  if (shares !== undefined && shares !== 0) {
    if (shares < 0) fail("invalid --cpu-shares: it is 0 or more");
    found.shares = Math.min(Math.max(shares, 2), 262_144);
  }
  if (period !== undefined && period !== 0) {
    if (period < 1000 || period > 1_000_000)
      fail("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s");
    found.period = period;
  }
  if (quota !== undefined && quota !== 0) {
    if (quota > 0 && quota < 1000) fail("CPU cfs quota can not be less than 1ms (i.e. 1000)");
    found.quota = quota;
  }
  const names: [string, "realtimePeriod" | "realtimeRuntime"][] = [
    ["cpu-rt-period", "realtimePeriod"],
    ["cpu-rt-runtime", "realtimeRuntime"],
  ];
  for (const [name, key] of names) {
    const value = number(call, name);
    if (value !== undefined && value !== 0) found[key] = value;
  }
  for (const [name, key] of [
    ["cpuset-cpus", "cpus"],
    ["cpuset-mems", "mems"],
  ] as const) {
    const value = text(call, name);
    if (value === undefined || value === "") continue;
    if (!/^\d+(-\d+)?(,\d+(-\d+)?)*$/.test(value)) fail(`invalid --${name} ${JSON.stringify(value)}`);
    found[key] = value;
  }
  return Object.keys(found).length === 0 ? undefined : found;
}

function blockIOOf(call: Call): Resources["blockIO"] {
  const found: NonNullable<Resources["blockIO"]> = {};
  const weight = number(call, "blkio-weight");
  if (weight !== undefined && weight !== 0) {
    if (weight < 10 || weight > 1000) fail("range of blkio weight is from 10 to 1000");
    found.weight = weight;
  }
  const weights = list(call, "blkio-weight-device").map((entry) => rateOf("blkio-weight-device", entry, Number));
  if (weights.length > 0)
    found.weightDevice = weights.map(({ major, minor, rate }) => ({ major, minor, weight: rate }));
  const rates: [
    string,
    "throttleReadBpsDevice" | "throttleWriteBpsDevice" | "throttleReadIOPSDevice" | "throttleWriteIOPSDevice",
  ][] = [
    ["device-read-bps", "throttleReadBpsDevice"],
    ["device-write-bps", "throttleWriteBpsDevice"],
    ["device-read-iops", "throttleReadIOPSDevice"],
    ["device-write-iops", "throttleWriteIOPSDevice"],
  ];
  for (const [name, key] of rates) {
    const given = list(call, name).map((entry) => rateOf(name, entry, name.endsWith("bps") ? bytes : Number));
    if (given.length > 0) found[key] = given;
  }
  return Object.keys(found).length === 0 ? undefined : found;
}

function rateOf(name: string, entry: string, parse: (text: string) => number): DeviceRate {
  const [, path = "", value = ""] = /^(\/dev\/.*):(\w+)$/.exec(entry) ?? [];
  const rate = parse(value || "x");
  if (path === "" || !Number.isInteger(rate)) fail(`bad format for path: ${entry}: --${name} is DEVICE:NUMBER`);
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined || !(stat.isBlockDevice() || stat.isCharacterDevice()))
    fail(`--${name}: ${path} is no device`);
  const { rdev } = stat as { rdev: number };
  // glibc's makedev: the halves of both numbers lie apart.
  const major = ((rdev >>> 8) & 0xfff) | (Math.floor(rdev / 2 ** 32) & 0xfffff000);
  const minor = (rdev & 0xff) | ((rdev >>> 12) & 0xfff00);
  return { major, minor, rate };
}

function size(call: Call, name: string): number | undefined {
  const given = text(call, name);
  return given === undefined ? undefined : given === "-1" ? -1 : bytes(given);
}

function fail(message: string): never {
  throw new SlipwayError("USAGE", message, { exitCode: 125 });
}
