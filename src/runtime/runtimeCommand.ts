import { userId } from "../linux/userNamespace.ts";
import type { Runtime } from "./Runtime.ts";

/** Where state that a reboot ends is kept: `/run/slipway`, a user's under $XDG_RUNTIME_DIR, or in /tmp where there is none. */
export function runDirectory(): string {
  const user = userId();
  if (user === 0) return "/run/slipway";
  const own = process.env.XDG_RUNTIME_DIR;
  return own?.startsWith("/") ? `${own}/slipway` : `/tmp/slipway-${user}`;
}

/** The runtime's own record of a container or step, a directory. */
export function runtimeStateDirectory(runtime: Runtime, id: string): string {
  return `${runDirectory()}/${runtime.name}/${id}`;
}

/** Options that stand before the runtime's subcommand. `cgroups` false leaves them out where the runtime can. */
export function runtimeGlobals(runtime: Runtime, cgroups = runtime.cgroups): string[] {
  const globals = ["--root", `${runDirectory()}/${runtime.name}`];
  if (!cgroups && runtime.name === "crun") globals.push("--cgroup-manager=disabled");
  return globals;
}

/** Whether a container really gets no cgroup when asked so: runc knows no such mode. */
export function canLeaveOutCgroups(runtime: Runtime): boolean {
  return runtime.name === "crun";
}
