import { containerEnvironment } from "../containerEnvironment.ts";
import type { RunStepOptions } from "../runStep.ts";
import { stepSetup } from "../stepSetup.ts";
import { rootCapabilities, runInRoot } from "./runInRoot.ts";
import { unavailable } from "./unavailable.ts";

/**
 * `runStep` for a process that may make neither namespaces nor mounts: see `runInRoot`. What a step can only have by a namespace of its own is refused.
 * @throws SlipwayError `ISOLATION_UNAVAILABLE`, and those of `stepSetup` and `runInRoot`
 */
export async function runChroot(options: RunStepOptions): Promise<number> {
  const { linux, directory, rootPath, network, security, hostname, terminal } = options;
  if (rootPath === undefined) throw new Error("a root that is changed to is a directory");
  if (network === "none") throw unavailable("a step without a network (--network=none)");
  if (typeof network === "object") throw unavailable("a network of its own for a step");
  if (security === "insecure") throw unavailable("a step with --security=insecure");
  if (hostname !== undefined) throw unavailable(`a host name for a step (${hostname})`);
  const { user, mounts } = stepSetup(options);
  const { args, cwd, env } = options.process;
  return runInRoot({
    linux,
    directory,
    root: rootPath,
    process: { args, cwd, env: containerEnvironment({ env, terminal: terminal !== undefined, home: user.home }) },
    user,
    mounts,
    capabilities: rootCapabilities({ add: [], drop: [] }),
    rlimits: options.rlimits ?? [],
    logs: options.logs,
    ...(terminal === undefined ? {} : { terminal }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
}
