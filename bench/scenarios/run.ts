import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { busyboxImage } from "../../scripts/lib/busyboxImage.mjs";
import type { Bench, Scenario } from "../Bench.ts";
import type { Contender } from "../measure.ts";

export const run: Scenario = {
  name: "run",
  title: "`run --rm busybox true`",
  contenders(bench) {
    const args = ["run", "--rm", "--network", "host", "busybox", "true"];
    const { slipway, peers } = bench;
    return [
      { name: "slipway", command: [...slipway.command, ...args], env: slipway.env },
      ...(peers === undefined
        ? []
        : (["docker", "podman"] as const).map((name) => ({ name, command: [...peers[name], ...args] }))),
      bareRuntime(bench),
    ];
  },
};

/** The OCI runtime alone, on an unpacked root file system. */
function bareRuntime({ folder, peers, must }: Bench): Contender {
  const root = join(folder, "rootfs");
  if (!existsSync(root)) {
    mkdirSync(root);
    writeFileSync(join(folder, "layer.tar"), busyboxImage().layers[0]!);
    must(["tar", "-xf", join(folder, "layer.tar"), "-C", root]);
  }
  const crun = [...(peers?.prefix ?? []), "crun"];
  const spec = {
    ociVersion: "1.0.2",
    process: { terminal: false, user: { uid: 0, gid: 0 }, args: ["true"], env: ["PATH=/bin:/usr/bin"], cwd: "/" },
    root: { path: "rootfs" },
    mounts: [
      { destination: "/proc", type: "proc", source: "proc" },
      { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755", "size=65536k"] },
    ],
    linux: { namespaces: ["pid", "ipc", "uts", "mount"].map((type) => ({ type })) },
  };
  writeFileSync(join(folder, "config.json"), JSON.stringify(spec));
  return { name: "crun", command: [...crun, "run", "--bundle", folder, `bench-${process.pid}`] };
}
