import { hostPlatform, normalizePlatform, type Platform, parsePlatform } from "../../oci/platform.ts";
import type { PlanOptions } from "../../plan/PlanOptions.ts";
import type { BuildContexts } from "./contexts/buildContexts.ts";
import type { BuildOptions } from "../Engine.ts";

/** What a build's options say to the planner. @throws SlipwayError where the platform cannot be read */
export function planOptions(options: BuildOptions, { named }: Pick<BuildContexts, "named">): PlanOptions {
  return {
    buildArgs: options.buildArgs,
    labels: options.labels,
    buildPlatform: hostPlatform(),
    ...askedPlatform(options.platform ?? options.platforms?.[0]),
    multiPlatform: (options.platforms?.length ?? 0) > 1,
    noCache: options.noCache,
    noCacheFilter: options.noCacheFilter,
    ...(options.target === undefined ? {} : { target: options.target }),
    namedContexts: named,
  };
}

/** One platform of `--platform`, where it was said. */
export function askedPlatform(platform: string | undefined): { targetPlatform?: Platform } {
  return platform === undefined ? {} : { targetPlatform: normalizePlatform(parsePlatform(platform)) };
}
