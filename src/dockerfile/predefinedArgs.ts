import { formatFullPlatform, formatPlatform, type Platform } from "../oci/platform.ts";

/** The arguments that FROM knows without an ARG: both platforms and their parts, and the stage that is built. Build arguments win. */
export function predefinedArgs(options: {
  buildPlatform: Platform;
  targetPlatform: Platform;
  /** "" or absent: the last stage, and it has no name. */
  targetStage?: string;
  buildArgs?: ReadonlyMap<string, string>;
}): Map<string, string> {
  const { buildPlatform, targetPlatform, targetStage, buildArgs } = options;
  const args = new Map<string, string>([
    ["BUILDPLATFORM", formatPlatform(buildPlatform)],
    ...platformArgs("BUILD", buildPlatform),
    ["TARGETPLATFORM", formatFullPlatform(targetPlatform)],
    ...platformArgs("TARGET", targetPlatform),
    ["TARGETSTAGE", targetStage || "default"],
  ]);
  for (const key of args.keys()) {
    const given = buildArgs?.get(key);
    if (given !== undefined) args.set(key, given);
  }
  return args;
}

function platformArgs(prefix: string, platform: Platform): [string, string][] {
  return [
    [`${prefix}OS`, platform.os],
    [`${prefix}OSVERSION`, platform["os.version"] ?? ""],
    [`${prefix}ARCH`, platform.architecture],
    [`${prefix}VARIANT`, platform.variant ?? ""],
  ];
}
