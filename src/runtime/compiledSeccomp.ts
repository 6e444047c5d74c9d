import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { sha256 } from "../oci/digest.ts";
import type { Seccomp } from "./OciSpec.ts";
import type { Runtime } from "./Runtime.ts";
import { runDirectory } from "./runtimeCommand.ts";
import { DEFAULT_PROFILE, type SeccompOptions } from "./seccompOptions.ts";

/** crun takes a compiled filter in this annotation (crun(1), "run.oci.seccomp_bpf_data"). */
export const SECCOMP_ANNOTATION = "run.oci.seccomp_bpf_data";

/**
 * The default profile's filter as the kernel takes it, base64, from an earlier start with the same options and program: compiling one costs as much
 * as the whole rest of a container's start. Undefined where there is none, or where the runtime takes none.
 */
export function compiledSeccomp(runtime: Runtime, options: SeccompOptions): string | undefined {
  if (!runtime.compiledSeccomp) return undefined;
  try {
    return readFileSync(filterPath(runtime, options)).toBase64();
  } catch {
    return undefined; // the first start with this profile
  }
}

/** Keeps the filter that the runtime has compiled for the container whose state this is, for {@link compiledSeccomp}. */
export function keepCompiledSeccomp(runtime: Runtime, options: SeccompOptions, stateDirectory: string): void {
  let filter: Uint8Array;
  try {
    filter = readFileSync(`${stateDirectory}/seccomp.bpf`);
  } catch {
    return; // this runtime leaves none
  }
  // struct sock_filter has 8 bytes; anything else was not finished.
  if (filter.length === 0 || filter.length % 8 !== 0) return;
  const path = filterPath(runtime, options);
  const aside = `${path}.${crypto.randomUUID()}`;
  mkdirSync(`${runDirectory()}/seccomp`, { recursive: true, mode: 0o700 });
  writeFileSync(aside, filter, { mode: 0o600 });
  renameSync(aside, path);
}

/** Named by what the filter depends on; making the profile itself would take as long as all the rest of looking it up. */
function filterPath(runtime: Runtime, options: SeccompOptions): string {
  const parts = [runtime.path, statSync(runtime.path).mtimeMs, DEFAULT_PROFILE, JSON.stringify(options)];
  const key = sha256(parts.join(" "));
  return `${runDirectory()}/seccomp/${key.slice("sha256:".length, "sha256:".length + 32)}`;
}

/** The default profile for the runtime to compile. Its lists are loaded only then: most starts find a filter that is compiled. */
export function uncompiledSeccomp(options: SeccompOptions): Seccomp {
  const { defaultSeccomp } = require("./seccomp.ts") as typeof import("./seccomp.ts");
  return defaultSeccomp(options);
}
