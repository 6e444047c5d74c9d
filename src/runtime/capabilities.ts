import { readFileSync } from "node:fs";
import { SlipwayError } from "../oci/SlipwayError.ts";

/** linux/capability.h, by number. */
export const CAPABILITIES = (
  "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE " +
  "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN " +
  "SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE " +
  "MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
)
  .split(" ")
  .map((name) => `CAP_${name}`);

/** What Docker gives a container that asks for nothing. */
export const DEFAULT_CAPABILITIES = (
  "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL " +
  "AUDIT_WRITE"
)
  .split(" ")
  .map((name) => `CAP_${name}`);

export interface CapabilityOptions {
  /** As `--cap-add` and `--cap-drop` give them: with or without `CAP_`, any case, `ALL`. */
  add: string[];
  drop: string[];
  privileged: boolean;
  /** Those that we have to give, see {@link ownCapabilities}. */
  available: string[];
}

/**
 * Docker's rule: the defaults, or all for `--privileged` and for `ALL`, with what is added, without what is dropped; an
 * addition by name wins over dropping `ALL`. Only what is available, in the order of their numbers.
 * @throws SlipwayError `INVALID_CAPABILITY`
 */
export function containerCapabilities(options: CapabilityOptions): string[] {
  const add = options.add.map(capabilityName);
  const drop = options.drop.map(capabilityName);
  let base: string[];
  if (options.privileged) base = CAPABILITIES;
  else {
    if (add.includes("ALL")) base = CAPABILITIES;
    else if (drop.includes("ALL")) base = [];
    else base = DEFAULT_CAPABILITIES;
    base = base.filter((name) => !drop.includes(name)).concat(add);
  }
  return CAPABILITIES.filter((name) => base.includes(name) && options.available.includes(name));
}

/** The capabilities in a mask as /proc/PID/status writes it (hexadecimal). */
export function capabilitiesOfMask(hex: string): string[] {
  const mask = BigInt(`0x${hex.trim()}`);
  return CAPABILITIES.filter((_, bit) => ((mask >> BigInt(bit)) & 1n) === 1n);
}

/** What this process may pass on: its bounding set. */
export function ownCapabilities(status: string = readFileSync("/proc/self/status", "utf8")): string[] {
  const mask = /^CapBnd:\s*([0-9a-f]+)$/m.exec(status)?.[1];
  return mask === undefined ? CAPABILITIES : capabilitiesOfMask(mask);
}

/** `CAP_CHOWN` of `chown`; `ALL` is one, too. @throws SlipwayError `INVALID_CAPABILITY` */
export function capabilityName(given: string): string {
  const upper = given.toUpperCase();
  if (upper === "ALL") return upper;
  const name = upper.startsWith("CAP_") ? upper : `CAP_${upper}`;
  if (!CAPABILITIES.includes(name)) {
    throw new SlipwayError("INVALID_CAPABILITY", `unknown capability ${JSON.stringify(given)}`, {
      hint: "See capabilities(7) for the names.",
      exitCode: 125,
    });
  }
  return name;
}
