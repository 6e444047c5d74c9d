import { checkDockerfile } from "../../dockerfile/checks/checkDockerfile.ts";
import type { CheckedImage } from "../../dockerfile/checks/CheckInfo.ts";
import type { Violation } from "../../dockerfile/checks/violations.ts";
import type { Dockerfile } from "../../dockerfile/instruction.ts";
import type { ImageConfig } from "../../oci/config.ts";
import { hostPlatform } from "../../oci/platform.ts";
import { parseReference } from "../../oci/reference.ts";
import { findNamedContext } from "../../plan/namedContexts.ts";
import type { NamedContext } from "../../plan/PlanOptions.ts";
import type { BuildOptions, Engine } from "../Engine.ts";
import { askedPlatform } from "./planOptions.ts";
import { findImage } from "../images/resolveImage.ts";

export type { Violation };

/** What a build warns of: the stages that its target needs. @throws SlipwayError `CHECK_FAILED` */
export function buildViolations(
  engine: Engine,
  options: BuildOptions,
  subject: {
    /** Parsed already, or the text. */
    dockerfile: Dockerfile | string;
    file: string;
    ignorePatterns: readonly string[];
    allStages: boolean;
    named?: Record<string, NamedContext>;
    /** Of a base image that is not in the store. */
    remote?: (reference: string) => ImageConfig | undefined;
  },
): Violation[] {
  const buildArgs = new Map<string, string>();
  for (const [name, value] of Object.entries(options.buildArgs)) if (value !== undefined) buildArgs.set(name, value);
  const report = checkDockerfile(
    subject.dockerfile,
    {
      buildArgs,
      buildPlatform: hostPlatform(),
      ...askedPlatform(options.platform ?? options.platforms?.[0]),
      ...(options.target === undefined ? {} : { target: options.target }),
      allStages: subject.allStages,
      ignorePatterns: subject.ignorePatterns,
      image: (reference) => checkedImage(engine, reference, subject.remote),
      hasNamedContext: (name) =>
        findNamedContext({ buildPlatform: hostPlatform(), namedContexts: subject.named ?? {} }, name) !== undefined,
    },
    subject.file,
  );
  if (report.error !== undefined) throw report.error;
  return report.violations;
}

function checkedImage(
  engine: Engine,
  reference: string,
  remote: (reference: string) => ImageConfig | undefined = () => undefined,
): CheckedImage | undefined {
  const { canonical } = parseReference(reference);
  const config = remote(canonical) ?? findImage(engine, canonical)?.config;
  if (config === undefined) return undefined;
  return {
    platform: {
      os: config.os,
      architecture: config.architecture,
      ...(config.variant === undefined ? {} : { variant: config.variant }),
    },
    env: config.config?.Env ?? [],
    ...(config.config?.Shell === undefined ? {} : { shell: config.config.Shell }),
    ...(config.config?.OnBuild ? { onBuild: config.config.OnBuild } : {}),
  };
}
