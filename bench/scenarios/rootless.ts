import { chmodSync, chownSync, copyFileSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { rungs } from "../../test/support/rungs.ts";
import { endNamespace } from "../../test/support/withSlipway.ts";
import type { Bench, Scenario } from "../Bench.ts";
import type { Contender } from "../measure.ts";

const noop: Scenario = {
  name: "rootless-noop",
  title: "build of hello as a plain user, nothing to do",
  contenders(bench) {
    const context = join(bench.folder, "context");
    mkdirSync(context);
    writeFileSync(join(context, "Dockerfile"), 'FROM busybox\nCMD ["echo", "hello"]\n');
    const build = ["build", "-t", "bench-rootless", context];
    return contenders(bench, build, ["build", "--layers", "--network", "host", "-t", "bench-rootless", context]);
  },
};

const run: Scenario = {
  name: "rootless-run",
  title: "`run --rm --network host busybox true` as a plain user",
  contenders: (bench) => contenders(bench, hostNetwork, hostNetwork),
};

/** With each tool's own network: bridges of the user's namespace here, a pasta a container there. */
const network: Scenario = {
  name: "rootless-network",
  title: "`run --rm busybox true` as a plain user",
  contenders: (bench) => contenders(bench, ["run", "--rm", "busybox", "true"], ["run", "--rm", "busybox", "true"]),
};
const hostNetwork = ["run", "--rm", "--network", "host", "busybox", "true"];

/** slipway as a plain user, as root, and Podman as that user. None where this machine can have no such user. */
function contenders(bench: Bench, own: string[], podman: string[]): Contender[] {
  const caller = rungs.namespace.caller();
  if ("missing" in caller) throw new Error(`no plain user: ${caller.missing}`);
  const home = join(bench.folder, "home");
  for (const name of ["", "run", "podman"]) {
    mkdirSync(join(home, name), { mode: 0o700 });
    chownSync(join(home, name), caller.uid, caller.gid);
  }
  // The user comes by: the folder of all scenarios is root's alone.
  chmodSync(dirname(bench.folder), 0o755);
  const program = join(home, "slipway");
  copyFileSync(bench.slipway.command[0] as string, program);
  chmodSync(program, 0o755);
  const env = { HOME: home, XDG_RUNTIME_DIR: join(home, "run") };
  const slipwayEnv = { ...bench.slipway.env, ...env, SLIPWAY_ROOT: join(home, "store") };
  bench.must([...caller.prefix, program, "pull", "busybox"], slipwayEnv);
  bench.must([...bench.slipway.command, "pull", "busybox"], bench.slipway.env);
  const slipway: Contender[] = [
    { name: "slipway", command: [...caller.prefix, program, ...own], env: slipwayEnv },
    { name: "slipway of root", command: [...bench.slipway.command, ...own], env: bench.slipway.env },
  ];
  const { peers } = bench;
  if (peers === undefined) return slipway;
  const rootless = podmanOf(bench, peers.prefix, { ...caller, home, env });
  bench.must([...rootless, "pull", "-q", "--tls-verify=false", `${bench.registry}/library/busybox`]);
  bench.must([...rootless, "tag", `${bench.registry}/library/busybox`, "docker.io/library/busybox:latest"]);
  return [...slipway, { name: "podman", command: [...rootless, ...podman] }];
}

/** The same user beside the peers, which have a root file system of their own. */
function podmanOf(
  { may }: Bench,
  prefix: string[],
  user: { uid: number; gid: number; home: string; env: Record<string, string> },
): string[] {
  const name = "slipway-bench";
  may([...prefix, "groupadd", "--gid", String(user.gid), name]);
  may([...prefix, "useradd", "--uid", String(user.uid), "--gid", String(user.gid), "-M", "-d", user.home, name]);
  const ids = "3200000-3265535";
  may([...prefix, "usermod", "-d", user.home, "--add-subuids", ids, "--add-subgids", ids, name]);
  const variables = Object.entries(user.env).map(([key, value]) => `${key}=${value}`);
  const drop = ["setpriv", `--reuid=${user.uid}`, `--regid=${user.gid}`, "--clear-groups"];
  const places = ["--root", join(user.home, "podman/root"), "--runroot", join(user.home, "run/podman")];
  const settings = ["--storage-driver=overlay", "--cgroup-manager=cgroupfs", "--events-backend=none"];
  return [...prefix, "env", ...variables, ...drop, "podman", ...places, ...settings];
}

/** What a plain user pays for having no root. */
export const rootlessScenarios = (existsSync("/etc/subuid") ? [noop, run, network] : []).map((scenario) => ({
  ...scenario,
  end: ({ folder }: Bench) => endNamespace(join(folder, "home/run")),
}));
