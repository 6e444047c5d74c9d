import { release } from "node:os";
import { SlipwayError } from "../oci/SlipwayError.ts";
import type { Seccomp, SeccompRule } from "./OciSpec.ts";

interface Condition {
  caps?: string[];
  arches?: string[];
  minKernel?: string;
}

interface ProfileRule {
  name?: string;
  names?: string[];
  action: string;
  errnoRet?: number;
  args?: SeccompRule["args"];
  includes?: Condition;
  excludes?: Condition;
}

interface Profile {
  defaultAction?: string;
  defaultErrnoRet?: number;
  architectures?: string[];
  archMap?: { architecture: string; subArchitectures?: string[] }[];
  flags?: string[];
  syscalls?: ProfileRule[];
}

const ARCHITECTURES: Record<string, { native: string; go: string }> = {
  x64: { native: "SCMP_ARCH_X86_64", go: "amd64" },
  arm64: { native: "SCMP_ARCH_AARCH64", go: "arm64" },
};

/**
 * A profile in the form that Docker's `--security-opt seccomp=FILE` takes, as the runtime takes it: the rules that hold for these capabilities,
 * this processor and this kernel. @throws SlipwayError `INVALID_OPTION`
 */
export function seccompProfile(text: string, capabilities: readonly string[]): Seccomp {
  const fail = (why: string, cause?: unknown): never => {
    throw new SlipwayError("INVALID_OPTION", `decoding seccomp profile failed: ${why}`, { cause, exitCode: 125 });
  };
  let profile: Profile;
  try {
    profile = JSON.parse(text) as Profile;
  } catch (error) {
    return fail((error as Error).message, error);
  }
  if (typeof profile !== "object" || profile === null) return fail("it is no object");
  if (typeof profile.defaultAction !== "string") return fail("it has no defaultAction");
  if (profile.architectures !== undefined && profile.archMap !== undefined)
    return fail("use either 'architectures' or 'archMap'");
  const here = ARCHITECTURES[process.arch];
  const holds = (condition: Condition | undefined, all: boolean): boolean => {
    if (condition === undefined) return all;
    const checks = [
      ...(condition.caps === undefined ? [] : [condition.caps.every((cap) => capabilities.includes(cap))]),
      ...(condition.arches === undefined ? [] : [condition.arches.includes(here?.go ?? "")]),
      ...(condition.minKernel === undefined ? [] : [kernelAtLeast(condition.minKernel)]),
    ];
    return all ? checks.every(Boolean) : checks.some(Boolean);
  };
  const syscalls: SeccompRule[] = [];
  for (const rule of profile.syscalls ?? []) {
    if (!holds(rule.includes, true) || holds(rule.excludes, false)) continue;
    const names = rule.names ?? (rule.name === undefined ? [] : [rule.name]);
    if (rule.name !== undefined && rule.names !== undefined) fail("'name' and 'names' were specified in the same rule");
    if (names.length === 0 || typeof rule.action !== "string") fail("a rule without names or action");
    syscalls.push({
      names,
      action: rule.action,
      ...(rule.errnoRet === undefined ? {} : { errnoRet: rule.errnoRet }),
      ...(rule.args === undefined || rule.args === null || rule.args.length === 0 ? {} : { args: rule.args }),
    });
  }
  const mapped = profile.archMap?.find((each) => each.architecture === here?.native);
  const architectures =
    profile.architectures ?? (mapped === undefined ? [] : [mapped.architecture, ...(mapped.subArchitectures ?? [])]);
  return {
    defaultAction: profile.defaultAction,
    ...(profile.defaultErrnoRet === undefined ? {} : { defaultErrnoRet: profile.defaultErrnoRet }),
    ...(architectures.length === 0 ? {} : { architectures }),
    ...(profile.flags === undefined ? {} : { flags: profile.flags }),
    syscalls,
  };
}

function kernelAtLeast(wanted: string): boolean {
  const [major = 0, minor = 0] = release().split(".").map(Number);
  const [wantedMajor = 0, wantedMinor = 0] = wanted.split(".").map(Number);
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}
