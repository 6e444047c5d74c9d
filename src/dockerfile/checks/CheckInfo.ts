import type { Platform } from "../../oci/platform.ts";

/** What the checks ask of a base image. */
export interface CheckedImage {
  platform: Platform;
  /** `K=V` entries of its config. */
  env: readonly string[];
  shell?: readonly string[];
  onBuild?: readonly string[];
}

/** What the checks know besides the text. */
export interface CheckInfo {
  /** Build arguments that have a value. */
  buildArgs?: ReadonlyMap<string, string>;
  buildPlatform: Platform;
  /** The build platform where not said. */
  targetPlatform?: Platform;
  /** The stage to build; the last one where not said. */
  target?: string;
  /** All stages are looked at, and not just those that the target needs. */
  allStages?: boolean;
  /** Patterns of the context's ignore file. */
  ignorePatterns?: readonly string[];
  /** A base image by FROM's expanded name. Undefined: not known, and then nothing is said about variables that it may set. */
  image?: (reference: string, platform: Platform) => CheckedImage | undefined;
  /** A named context takes this name's place, so that no instruction of the stage is used. */
  hasNamedContext?: (name: string) => boolean;
}
