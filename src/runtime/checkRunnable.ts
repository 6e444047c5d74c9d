import type { Linux } from "../linux/Linux.ts";
import { hostPlatform, type Platform } from "../oci/platform.ts";
import { matchesPlatform } from "../oci/platformMatch.ts";

/** What a container starts with: a command, and where it is looked for. */
export interface Started {
  args: readonly string[];
  env: readonly string[];
  cwd: string;
}

/**
 * That this machine can run the program that a container of an image of this platform starts with. At no cost for one of the machine's own;
 * see `checkForeign` for others. @throws SlipwayError `NOT_EXECUTABLE`
 */
export function checkRunnable(linux: Linux, root: number, started: Started, platform: Platform | undefined): void {
  if (platform === undefined || matchesPlatform(hostPlatform(), platform)) return;
  const { checkForeign } = require("./emulation.ts") as typeof import("./emulation.ts");
  checkForeign(linux, root, started);
}
