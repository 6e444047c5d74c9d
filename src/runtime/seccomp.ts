import { S_IFCHR, S_IFIFO, S_IFMT, S_IFREG, S_IFSOCK } from "../linux/constants.ts";
import type { Seccomp, SeccompArg, SeccompRule } from "./OciSpec.ts";
import type { SeccompOptions } from "./seccompOptions.ts";
import { always, byArchitecture, byCapability } from "./seccompCalls.ts";

const EPERM = 1;
const ENOSYS = 38;
const AF_VSOCK = 40;
/** CLONE_NEWNS … CLONE_NEWNET: a clone(2) without CAP_SYS_ADMIN makes no namespace. */
const NAMESPACE_FLAGS = 0x7e020000;
/** personality(2): PER_LINUX, PER_LINUX32, UNAME26 with each, and the question for the present one. */
const PERSONALITIES = [0x0, 0x8, 0x20000, 0x20008, 0xffffffff];

const architectures: Record<string, string[]> = {
  x64: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
  arm64: ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
};

/** Character devices that a container may make and open: major, minor. Those of the default device rules, and overlayfs's whiteout. */
const HARMLESS_DEVICES: [number, number][] = [
  [0, 0], // whiteout
  [1, 3], // null
  [1, 5], // zero
  [1, 7], // full
  [1, 8], // random
  [1, 9], // urandom
  [5, 0], // tty
  [5, 1], // console
  [5, 2], // ptmx
];

/** Docker's default profile for a process with these capabilities, as the runtime-spec writes it (config-linux.md, "Seccomp"). */
export function defaultSeccomp(options: SeccompOptions): Seccomp {
  const has = (capability: string): boolean => options.capabilities.includes(capability);
  const allowed = new Set([...always, ...(byArchitecture[options.arch] ?? [])]);
  for (const [capability, calls] of Object.entries(byCapability)) {
    if (has(capability)) for (const call of calls) allowed.add(call);
  }
  const rules: SeccompRule[] = [];
  const allow = (names: string[], args: SeccompArg[]): void => {
    rules.push({ names, action: "SCMP_ACT_ALLOW", args });
  };
  if (options.deviceCgroup) allowed.add("mknod").add("mknodat");
  else for (const rule of harmlessMknod()) rules.push(rule);
  rules.unshift({ names: [...allowed], action: "SCMP_ACT_ALLOW" });
  for (const value of PERSONALITIES) allow(["personality"], [{ index: 0, value, op: "SCMP_CMP_EQ" }]);
  allow(["socket"], [{ index: 0, value: AF_VSOCK, op: "SCMP_CMP_NE" }]);
  if (!has("CAP_SYS_ADMIN")) {
    allow(["clone"], [{ index: 0, value: NAMESPACE_FLAGS, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ" }]);
    // clone3(2) hides its flags behind a pointer: ENOSYS makes libc fall back to clone(2).
    rules.push({ names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: ENOSYS });
  }
  return {
    defaultAction: "SCMP_ACT_ERRNO",
    defaultErrnoRet: EPERM,
    architectures: architectures[options.arch] ?? [],
    syscalls: rules,
  };
}

function harmlessMknod(): SeccompRule[] {
  const rules: SeccompRule[] = [];
  for (const [name, modeIndex] of [
    ["mknod", 1],
    ["mknodat", 2],
  ] as const) {
    const ofType = (type: number): SeccompArg => ({
      index: modeIndex,
      value: S_IFMT,
      valueTwo: type,
      op: "SCMP_CMP_MASKED_EQ",
    });
    for (const type of [0, S_IFREG, S_IFIFO, S_IFSOCK]) {
      rules.push({ names: [name], action: "SCMP_ACT_ALLOW", args: [ofType(type)] });
    }
    for (const [major, minor] of HARMLESS_DEVICES) {
      const device: SeccompArg = { index: modeIndex + 1, value: (major << 8) | minor, op: "SCMP_CMP_EQ" };
      rules.push({ names: [name], action: "SCMP_ACT_ALLOW", args: [ofType(S_IFCHR), device] });
    }
  }
  return rules;
}
