import type { Dockerfile, Instruction } from "../dockerfile/instruction.ts";
import { predefinedArgs } from "../dockerfile/predefinedArgs.ts";
import type { Platform } from "../oci/platform.ts";
import { expandWord } from "./expand.ts";
import type { PlanOptions } from "./PlanOptions.ts";

/** Platform arguments, TARGETSTAGE, then the ARGs before the first FROM, each able to use those before it. Build arguments win. */
export function globalArgsOf(
  dockerfile: Dockerfile,
  options: PlanOptions,
  buildArgs: ReadonlyMap<string, string>,
  target: Platform,
): Map<string, string> {
  const args = predefinedArgs({
    buildPlatform: options.buildPlatform,
    targetPlatform: target,
    targetStage: options.target ?? dockerfile.stages.at(-1)?.name ?? "",
    buildArgs,
  });
  for (const instruction of dockerfile.globalArgs) {
    for (const { key, value } of instruction.args) {
      const given = buildArgs.get(key);
      if (given !== undefined) args.set(key, given);
      else if (value !== undefined)
        args.set(key, expandWord(value, args, dockerfile.directives.escape, instruction.range));
    }
  }
  return args;
}

const proxies = ["http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy"] as const;

/** The predefined proxy arguments, in capitals and small letters as programs ask for either. Small letters win where both are given. */
export function proxyEnvOf(buildArgs: ReadonlyMap<string, string>): string[] {
  const env: string[] = [];
  for (const name of proxies) {
    let value = "";
    for (const key of [...buildArgs.keys()].sort()) if (key.toLowerCase() === name) value = buildArgs.get(key) ?? "";
    if (value !== "") env.push(`${name.toUpperCase()}=${value}`, `${name}=${value}`);
  }
  return env;
}

/** Build arguments that no ARG of the file asks for, by name; those that need no ARG are not among them. */
export function unusedBuildArgs(
  buildArgs: ReadonlyMap<string, string>,
  globalArgs: ReadonlyMap<string, string>,
  commands: Iterable<{ instruction: Instruction }>,
): string[] {
  const used = new Set<string>(globalArgs.keys());
  for (const { instruction } of commands)
    if (instruction.kind === "arg") for (const { key } of instruction.args) used.add(key);
  return [...buildArgs.keys()].filter((key) => !used.has(key) && !isForBuilder(key)).sort();
}

/** What BuildKit takes without an ARG: proxies, its own switches, the time of the build. */
function isForBuilder(key: string): boolean {
  const proxy = (proxies as readonly string[]).includes(key.toLowerCase());
  return proxy || key.startsWith("BUILDKIT_") || key === "SOURCE_DATE_EPOCH";
}
