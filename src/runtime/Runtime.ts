/** An OCI runtime that was seen working on this host, and how it is to be run. Made by `probeRuntime`. */
export interface Runtime {
  /** File name of the program: `crun`, `runc`. */
  name: string;
  /** Absolute. */
  path: string;
  /** What to execute: a copy of the file at `path` that starts faster, in this process and its children alone. */
  program: string;
  version: string;
  /** Whether the runtime makes cgroups here. */
  cgroups: boolean;
  /** Whether it must see a plain cgroup2 tree in a mount namespace of its own (hosts with hybrid or v1 cgroups). */
  cgroupView: boolean;
  /** Whether writing to `exec.fifo` in its state starts a created container, as its `start` does at the cost of a process. */
  startByFifo: boolean;
  /** Whether it takes a compiled seccomp filter in an annotation. */
  compiledSeccomp: boolean;
}

/** For `slipway info`, in words. */
export function describeRuntime(runtime: Runtime): string {
  if (runtime.cgroupView) return "in a private mount namespace that shows plain cgroup2, cgroups left out";
  return runtime.cgroups ? "as is" : "cgroups left out";
}
